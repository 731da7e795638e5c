"""Compare tandem's sampling with transformers' generate and with llama.cpp: tokens decoded a second.

python bench/sampling.py --tandem bin/tandem --llamacpp PYTHON [--isa avx2|best] [--runs N] [--shape NAME]

PYTHON is of an environment with requirements-llamacpp.txt, whose llama.cpp was built for the instruction set (see
README.md). All read one model with random weights, in float32, and decode a batch of random prompts on the same threads
and instruction set, in turn; the time begins when the prompts are taken in. The table has the medians of the runs, each
the best of three.
"""

import argparse
import functools
import json
import os
import pathlib
import random
import statistics
import sys
import tempfile

import sides

here = pathlib.Path(__file__).parent
shapes = {  # layers, hidden, intermediate, heads, vocabulary; all tied
    "practice": (4, 128, 352, 4, 1024),
    "stories15m": (6, 288, 768, 6, 32000),
}
parser = argparse.ArgumentParser()
parser.add_argument("--tandem", default="bin/tandem")
parser.add_argument("--llamacpp", required=True)
parser.add_argument("--isa", choices=["avx2", "best"], default="avx2")
parser.add_argument("--shape", choices=shapes, default="practice")
parser.add_argument("--runs", type=int, default=3)
parser.add_argument("--batches", type=lambda s: [int(n) for n in s.split(",")], default=[1, 32])
parser.add_argument("--prompt", type=int, default=32)
parser.add_argument("--tokens", type=int, default=128)
parser.add_argument("--threads", type=int, default=os.cpu_count())
args = parser.parse_args()

run = functools.partial(sides.run, sides.environment(args.isa, args.threads))

with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    from transformers import LlamaConfig, LlamaForCausalLM  # after the arguments are read: it takes seconds

    layers, hidden, intermediate, heads, vocabulary = shapes[args.shape]
    LlamaForCausalLM(LlamaConfig(
        num_hidden_layers=layers, hidden_size=hidden, intermediate_size=intermediate, num_attention_heads=heads, num_key_value_heads=heads,
        vocab_size=vocabulary, tie_word_embeddings=True, max_position_embeddings=1024, initializer_range=0.05,
        bos_token_id=None, eos_token_id=None, pad_token_id=None,
    )).save_pretrained(folder)
    draw = random.Random(1)
    print(f"{args.shape}, {args.tokens} tokens after {args.prompt}, {args.threads} threads, {args.isa}, float32; "
          f"tokens/s, medians (all) of {args.runs} runs\n")
    print("| batch | tandem | transformers | ratio | llama.cpp | ratio | llama_decode alone | ratio |\n|---|---|---|---|---|---|---|---|")
    for batch in args.batches:
        prompts = folder / f"prompts-{batch}.json"
        prompts.write_text(json.dumps([[draw.randrange(vocabulary) for _ in range(args.prompt)] for _ in range(batch)]))
        sizes = ["--tokens", args.tokens, "--runs", 3]
        reference = ["--model", folder, "--prompts", prompts, "--threads", args.threads, *sizes]
        ours, hf, cpp = [], [], []
        for _ in range(args.runs):
            ours.append(run(args.tandem, "bench", "generate", "--json", "--model", folder, "--batch", batch, "--prompt", args.prompt,
                            "--workers", args.threads, *sizes))
            hf.append(run(sys.executable, here / "transformers_generate.py", *reference))
            cpp.append(run(args.llamacpp, here / "llamacpp_generate.py", *reference))
        difference = max(abs(a - b) for a, b in zip(hf[0]["logprobs"], cpp[0]["logprobs"], strict=True))
        if difference > 1e-4:
            sys.exit(f"the log-probabilities of transformers and llama.cpp differ by {difference}: they read another model")
        rates = [[r[key] for r in runs] for runs, key in ((ours, "tokens_per_second"), (hf, "tokens_per_second"),
                                                         (cpp, "tokens_per_second"), (cpp, "decoded_per_second"))]
        shown = [sides.shown(v, 0) for v in rates]
        ratio = [f"{statistics.median(rates[0]) / statistics.median(v):.2f}" for v in rates[1:]]
        print(f"| {batch} | {shown[0]} | {shown[1]} | {ratio[0]} | {shown[2]} | {ratio[1]} | {shown[3]} | {ratio[2]} |", flush=True)
