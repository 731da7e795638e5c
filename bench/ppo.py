"""Compare an iteration of PPO in tandem and in TRL.

python bench/ppo.py --tandem bin/tandem [--isa avx2|best] [--runs N] [--shape NAME]

Both sides have random weights of the same architecture, the same number of answers, minibatches and epochs (one), and
prompts and answers of the same lengths, in float32, on the same threads and instruction set, in turn. tandem scores with
two reward models, TRL with one; TRL takes ln π_old from its sampling, tandem passes the answers through the policy once
more for it. The table has the median of the runs, each the median of its iterations.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

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

environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
if args.isa == "avx2":
    environment |= {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2",
                    "OPENBLAS_CORETYPE": "Haswell"}
environment |= {"OMP_NUM_THREADS": str(args.threads), "TOKENIZERS_PARALLELISM": "false", "TRL_EXPERIMENTAL_SILENCE": "1"}


def run(*command):
    """run returns the JSON object that the command wrote last."""
    done = subprocess.run([str(c) for c in command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{command[0]} {command[1]}: {done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


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
shown = lambda values, digits: f"{statistics.median(values):.{digits}f} ({', '.join(f'{v:.{digits}f}' for v in sorted(values))})"
memory = lambda runs: shown([r["peak_memory_bytes"] / 1e6 for r in runs], 0)
print(f"{ours[0]['shape']['parameters'] / 1e6:.1f} M parameters, {args.batch} answers of {args.tokens} tokens to prompts of "
      f"{args.prompt}, minibatches of {args.minibatch}, {args.threads} threads, {args.isa} ({ours[0]['device']}), float32; "
      f"median (all) of {args.runs} runs\n")
print("| | tandem | TRL | ratio |\n|---|---|---|---|")
print(f"| seconds of an iteration | {shown(a, 3)} | {shown(b, 3)} | {statistics.median(b) / statistics.median(a):.2f} |")
print(f"| MB at most | {memory(ours)} | {memory(theirs)} | |")
