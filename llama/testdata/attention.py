#!/usr/bin/env python3
"""Writes what transformers' eager attention pays attention to, as attention.json, for the models of this folder.

    env/bin/python attention.py              # the environment of golden.py

For each model the first sequence of its golden.json: attentions[layer][head][query][key], the softmax's output.
"""

import json
import pathlib

import torch
from transformers import LlamaForCausalLM

HERE = pathlib.Path(__file__).parent

for name in ("gqa_tied", "untied"):
    model = LlamaForCausalLM.from_pretrained(HERE / name, dtype=torch.float32, attn_implementation="eager").eval()
    tokens = json.loads((HERE / name / "golden.json").read_text())["sequences"][0]
    with torch.no_grad():
        attentions = model(torch.tensor([tokens]), output_attentions=True).attentions
    rows = [[[[round(float(x), 8) for x in query] for query in head] for head in layer[0]] for layer in attentions]
    (HERE / name / "attention.json").write_text(json.dumps({"tokens": tokens, "attentions": rows}) + "\n")
