"""Compare an iteration of PPO in tandem and in TRL.

python bench/ppo.py --tandem bin/tandem [--isa avx2|best] [--runs N] [--shape NAME]

Both sides have random weights of the same architecture, the same number of answers, minibatches and epochs (one), and
prompts and answers of the same lengths, in float32, on the same threads and instruction set, in turn. tandem scores with
two reward models, TRL with one. The table has the median of the runs, each the median of its iterations.
"""

import argparse
import functools
import json
import os
import pathlib
import statistics
import sys
import tempfile

import sides

here = pathlib.Path(__file__).parent
parser = argparse.ArgumentParser()
parser.add_argument("--tandem", default="bin/tandem")
parser.add_argument("--isa", choices=["avx2", "best"], default="avx2")
parser.add_argument("--shape", default="practice")
parser.add_argument("--runs", type=int, default=3)
parser.add_argument("--iterations", type=int, default=3)
parser.add_argument("--batch", type=int, default=128)
parser.add_argument("--minibatch", type=int, default=32)
parser.add_argument("--prompt", type=int, default=48)
parser.add_argument("--tokens", type=int, default=64)
parser.add_argument("--threads", type=int, default=os.cpu_count())
args = parser.parse_args()

run = functools.partial(sides.run, sides.environment(args.isa, args.threads))

sizes = ["--prompt", args.prompt, "--iterations", args.iterations]
ours, theirs = [], []
with tempfile.TemporaryDirectory() as folder:
    for _ in range(args.runs):
        ours.append(run(args.tandem, "bench", "ppo", "--json", "--shape", args.shape, "--batch-size", args.batch,
                        "--minibatch-size", args.minibatch, "--max-tokens", args.tokens, "--workers", args.threads, *sizes))
        theirs.append(run(sys.executable, here / "trl_ppo.py", "--shape", json.dumps(ours[-1]["shape"]), "--batch", args.batch,
                          "--minibatch", args.minibatch, "--tokens", args.tokens, "--threads", args.threads, "--skip", 2,
                          "--out", folder, *sizes))

a, b = [r["seconds_per_iteration"] for r in ours], [statistics.median(r["seconds"]) for r in theirs]
memory = lambda runs: sides.shown([r["peak_memory_bytes"] / 1e6 for r in runs], 0)
print(f"{ours[0]['shape']['parameters'] / 1e6:.1f} M parameters, {args.batch} answers of {args.tokens} tokens to prompts of "
      f"{args.prompt}, minibatches of {args.minibatch}, {args.threads} threads, {args.isa} ({ours[0]['device']}), float32; "
      f"median (all) of {args.runs} runs\n")
print("| | tandem | TRL | ratio |\n|---|---|---|---|")
print(f"| seconds of an iteration | {sides.shown(a, 3)} | {sides.shown(b, 3)} | {statistics.median(b) / statistics.median(a):.2f} |")
print(f"| MB at most | {memory(ours)} | {memory(theirs)} | |")
