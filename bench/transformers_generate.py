"""Sample from a policy with transformers' generate and print how many tokens a second it decodes.

python transformers_generate.py --model DIR --prompts FILE --tokens N --runs N --threads N

FILE has a JSON list of prompts of one length, in token ids: a batch. The time of the first token, with which the
prompts are taken in, is taken off. The last line on stdout is {"tokens_per_second": the best run's, "logprobs": ln P of
each token of the first prompt after its first}.
"""

import argparse
import json
import time

import torch
from transformers import AutoModelForCausalLM, GenerationConfig

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--prompts", required=True)
for name in ("tokens", "runs", "threads"):
    parser.add_argument("--" + name, type=int, required=True)
args = parser.parse_args()
torch.set_num_threads(args.threads)
torch.manual_seed(1)

model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
with open(args.prompts) as file:
    prompts = torch.tensor(json.load(file))


def seconds(tokens):
    config = GenerationConfig(max_new_tokens=tokens, min_new_tokens=tokens, do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
                              pad_token_id=0, eos_token_id=None)
    start = time.perf_counter()
    out = model.generate(input_ids=prompts, attention_mask=torch.ones_like(prompts), generation_config=config)
    assert out.shape[1] == prompts.shape[1] + tokens
    return time.perf_counter() - start


with torch.inference_mode():
    seconds(2)  # warm up
    first = min(seconds(1) for _ in range(args.runs))
    whole = min(seconds(args.tokens) for _ in range(args.runs))
    logprobs = model(prompts[:1]).logits[0, :-1].log_softmax(-1).gather(-1, prompts[0, 1:, None])[:, 0]
print(json.dumps({"tokens_per_second": len(prompts) * (args.tokens - 1) / (whole - first), "logprobs": logprobs.tolist()}))
