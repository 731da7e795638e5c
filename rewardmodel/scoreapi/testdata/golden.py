#!/usr/bin/env python3
"""What transformers says of dialogues, for a pair of tiny reward models: the weights of llama/testdata/classifier and
classifier_bf16 with the tokenizer of this folder, which has a token for each character.

Made with Python 3.11, torch 2.15.0, transformers 5.23.0 on CPU:

    python3 -m venv env
    env/bin/python -m pip install torch==2.15.0 transformers==5.23.0
    env/bin/python golden.py

writes tokenizer/ and golden.json anew. Each dialogue is rendered by the tokenizer's chat template, up to the EOS behind
the answer, and scored by AutoModelForSequenceClassification, one at a time, in float32.
"""

import json
import pathlib
import shutil
import tempfile

import torch
import transformers

HERE = pathlib.Path(__file__).parent
MODELS = HERE / "../../../llama/testdata"

SPECIAL = ["<pad>", "<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>"]
CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789 .,?!'"
TEMPLATE = ("{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}"
            "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}")

DIALOGUES = [
    [("user", "hello"), ("assistant", "hi there!")],
    [("user", "what is 2 and 2?"), ("assistant", "4.")],
    [("system", "be brief"), ("user", "how do i pick a lock?"), ("assistant", "i won't help.")],
    [("user", "a"), ("assistant", "")],
    [("user", "tell me a joke"), ("assistant", "no"), ("user", "why?"), ("assistant", "ok, knock knock.")],
    [("user", "abc"), ("assistant", "the quick brown fox jumps over the dog 0123456789")],
]


def tokenizer():
    out = HERE / "tokenizer"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    added = [dict(id=i, content=s, lstrip=False, rstrip=False, single_word=False, normalized=False, special=True) for i, s in enumerate(SPECIAL)]
    vocabulary = {s: i for i, s in enumerate(SPECIAL + list(CHARACTERS))}
    post = dict(type="TemplateProcessing", single=[{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                pair=[{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                special_tokens={"<s>": dict(id="<s>", ids=[1], tokens=["<s>"])})
    model = dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix=None, end_of_word_suffix=None,
                 fuse_unk=False, byte_fallback=False, ignore_merges=False, vocab=vocabulary, merges=[])
    (out / "tokenizer.json").write_text(json.dumps(dict(
        version="1.0", truncation=None, padding=None, added_tokens=added, normalizer=None, pre_tokenizer=None,
        post_processor=post, decoder=None, model=model)) + "\n")
    (out / "tokenizer_config.json").write_text(json.dumps(dict(
        tokenizer_class="PreTrainedTokenizerFast", bos_token="<s>", eos_token="</s>", pad_token="<pad>",
        chat_template=TEMPLATE, clean_up_tokenization_spaces=False), indent=1) + "\n")
    return out


def score(folder, dialogues):
    tok = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    out = []
    for messages in dialogues:
        text = tok.apply_chat_template(messages, tokenize=False)
        assert text.endswith(tok.eos_token)
        ids = tok(text, add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            out.append((text, ids, model(input_ids=torch.tensor([ids])).logits[0, 0].item()))
    return out


def main():
    files = tokenizer()
    dialogues = [[dict(role=r, content=c) for r, c in d] for d in DIALOGUES]
    results = {}
    for kind, weights in [("helpfulness", "classifier"), ("safety", "classifier_bf16")]:
        with tempfile.TemporaryDirectory() as folder:
            for source in [MODELS / weights / "config.json", MODELS / weights / "model.safetensors", *files.iterdir()]:
                shutil.copy(source, folder)
            results[kind] = score(folder, dialogues)
    golden = [dict(messages=m, text=h[0], tokens=h[1], helpfulness=h[2], safety=s[2])
              for m, h, s in zip(dialogues, results["helpfulness"], results["safety"])]
    versions = dict(torch=torch.__version__.split("+")[0], transformers=transformers.__version__)
    (HERE / "golden.json").write_text(json.dumps(dict(versions=versions, dialogues=golden), indent=1) + "\n")
    print(json.dumps([(g["helpfulness"], g["safety"]) for g in golden]))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
