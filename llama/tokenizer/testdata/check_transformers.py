"""Compares the golden ids and texts with what transformers' AutoTokenizer gives for the same files.

    python -m venv venv && venv/bin/pip install transformers==4.56.2 tokenizers==0.22.1
    venv/bin/python check_transformers.py [folder of shared data]

With transformers 4.56.2 nothing differs. transformers 5 rebuilds tokenizers of the class LlamaTokenizer
from their vocabulary and no longer obeys the normalizer and unk_token of tokenizer.json: it doubles no
space at the beginning of a text, drops unknown characters and puts no space after a special token. This
package does what the file says, as the model was trained.
"""

import json
import os
import sys

from transformers import AutoTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
with open(f"{HERE}/strings.json", encoding="utf-8") as f:
    strings = json.load(f)
folders = {name: f"{HERE}/{name}" for name in ("gpt2", "llama3", "qwen2", "llama2", "metaspace", "tiny")}
if len(sys.argv) > 1:
    folders["tinystories"] = f"{sys.argv[1]}/tinystories-656k"
different = 0
for name, folder in folders.items():
    with open(f"{HERE}/golden/{name}.json", encoding="utf-8") as f:
        golden = json.load(f)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = sum(tokenizer(s).input_ids != g for s, g in zip(strings, golden["rendered"]))
    texts = sum(tokenizer.decode(i, skip_special_tokens=True) != g for i, g in zip(golden["rendered"], golden["decoded"]))
    print(f"{name}: {type(tokenizer).__name__}, {len(strings)} strings, {ids} ids and {texts} texts differ")
    different += ids + texts
sys.exit(different > 0)
