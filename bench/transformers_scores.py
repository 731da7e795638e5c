"""Score texts with transformers in batches and print how long the loop took.

python transformers_scores.py --model DIR --data FILE --batch N

FILE has {"text": …} a line, rendered, special tokens spelled out. Texts are sorted by length, so that little is
padded: what one who wants it fast would write. The last line on stdout is {"texts": …, "seconds": …, "scores": […]},
in the file's order, the loop with its tokenization alone, loading not counted.
"""

import argparse
import json
import time

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--data", required=True)
parser.add_argument("--batch", type=int, required=True)
parser.add_argument("--threads", type=int, required=True)
args = parser.parse_args()
torch.set_num_threads(args.threads)

model = AutoModelForSequenceClassification.from_pretrained(args.model, dtype=torch.float32).eval()
tokenizer = AutoTokenizer.from_pretrained(args.model)
with open(args.data) as file:
    texts = [json.loads(line)["text"] for line in file]

with torch.inference_mode():
    model(**tokenizer(texts[: args.batch], add_special_tokens=False, padding=True, return_tensors="pt"))  # warm up
    start = time.perf_counter()
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    scores = [0.0] * len(texts)
    order = sorted(range(len(texts)), key=lambda i: len(ids[i]))
    for at in range(0, len(order), args.batch):
        part = order[at : at + args.batch]
        batch = tokenizer.pad({"input_ids": [ids[i] for i in part]}, return_tensors="pt")
        for i, score in zip(part, model(**batch).logits[:, 0].tolist()):
            scores[i] = score
    seconds = time.perf_counter() - start
print(json.dumps({"texts": len(texts), "seconds": seconds, "scores": scores}))
