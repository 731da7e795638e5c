"""Compare tandem with TRL and transformers on a reward model: pairs trained and texts scored a second.

python bench/reward.py --tandem bin/tandem --pairs FILE.jsonl.gz [--isa avx2|avx512] [--runs N]

FILE is in hh-rlhf's form. A Llama of some 7 million parameters is made of its dialogues with tandem, for a few
steps: speed does not depend on what it knows. Both sides then train it on the same pairs, with the same batch, in
float32, on the same threads and instruction set, in turn; the table has the median of the runs. tandem scores with
the whole command, its start included; transformers' loop is timed alone.
"""

import argparse
import gzip
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

here = pathlib.Path(__file__).parent
parser = argparse.ArgumentParser()
parser.add_argument("--tandem", default="bin/tandem")
parser.add_argument("--pairs", required=True)
parser.add_argument("--isa", choices=["avx2", "avx512"], default="avx2")
parser.add_argument("--runs", type=int, default=3)
parser.add_argument("--steps", type=int, default=20)
parser.add_argument("--skip", type=int, default=4)
parser.add_argument("--batch", type=int, default=16)
parser.add_argument("--texts", type=int, default=1000)
parser.add_argument("--max-length", type=int, default=512)
parser.add_argument("--layers", type=int, default=6)
parser.add_argument("--hidden", type=int, default=288)
parser.add_argument("--threads", type=int, default=os.cpu_count())
args = parser.parse_args()

environment = dict(os.environ)
if args.isa == "avx2":
    environment |= {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2",
                    "OPENBLAS_CORETYPE": "Haswell"}
else:
    environment |= {"OPENBLAS_CORETYPE": "SkylakeX"}
environment |= {"OMP_NUM_THREADS": str(args.threads), "TOKENIZERS_PARALLELISM": "false"}


def run(*command, stdin=None):
    """run returns what the command wrote on stdout, and the seconds it took."""
    start = time.perf_counter()
    done = subprocess.run([str(c) for c in command], env=environment, stdin=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{command[0]} {command[1]}: {done.stderr[-3000:]}")
    return done.stdout, time.perf_counter() - start


def tandem(*command, **options):
    return run(args.tandem, *command, **options)


def turns(transcript):
    """turns reads hh-rlhf's form."""
    parts = re.split(r"\n\n(Human|Assistant): ?", transcript)[1:]
    role = {"Human": "user", "Assistant": "assistant"}
    return [{"role": role[r], "content": c.strip()} for r, c in zip(parts[::2], parts[1::2])]


def last(output):
    return json.loads(output.strip().splitlines()[-1])


with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    base, trained = folder / "base", folder / "trained"
    pairs = []
    with gzip.open(args.pairs, "rt") as file:
        for line in file:
            record = json.loads(line)
            chosen, rejected = turns(record["chosen"]), turns(record["rejected"])
            alternate = all(t["role"] == ("user", "assistant")[i % 2] for c in (chosen, rejected) for i, t in enumerate(c))
            if alternate and chosen[:-1] == rejected[:-1] and chosen[-1]["role"] == rejected[-1]["role"] == "assistant":
                pairs.append({"prompt": chosen[:-1], "chosen": chosen[-1:], "rejected": rejected[-1:]})
    dialogues = [p["prompt"] + p["chosen"] for p in pairs]
    with open(folder / "texts.jsonl", "w") as file:
        for d in dialogues:
            file.write(json.dumps({"text": "\n".join(t["content"] for t in d)}) + "\n")
    tandem("pretrain", "--data", folder / "texts.jsonl", "--texts-format", "jsonl", "--out", base, "--steps", 2,
           "--vocab-size", 4096, "--hidden-size", args.hidden, "--intermediate-size", 8 * args.hidden // 3,
           "--layers", args.layers, "--heads", args.hidden // 48, "--key-value-heads", args.hidden // 48,
           "--positions", args.max_length)

    from transformers import AutoTokenizer  # after the arguments are read: it takes seconds

    tokenizer = AutoTokenizer.from_pretrained(base)
    rendered = lambda messages: tokenizer.apply_chat_template(messages, tokenize=False)
    length = lambda messages: len(tokenizer(rendered(messages), add_special_tokens=False)["input_ids"])
    # Those that fit alone: TRL leaves out a longer pair, tandem cuts it.
    pairs = [p for p in pairs if max(length(p["prompt"] + p["chosen"]), length(p["prompt"] + p["rejected"])) <= args.max_length]
    pairs = pairs[: args.steps * args.batch]
    if len(pairs) < args.steps * args.batch:
        sys.exit(f"{args.pairs} has {len(pairs)} pairs of at most {args.max_length} tokens, {args.steps * args.batch} are needed")
    with open(folder / "pairs.jsonl", "w") as file:
        for p in pairs:
            file.write(json.dumps(p) + "\n")

    def train_tandem(at):
        out = folder / f"tandem-{at}"
        tandem("reward", "helpfulness", "--model", base, "--data", folder / "pairs.jsonl", "--format", "trl", "--out", out,
               "--mixture", "all", "--margin", "none", "--auxiliary-weight", 0, "--held-out-share", 0, "--batch", args.batch,
               "--steps", args.steps, "--learning-rate", 1e-5, "--seed", 1, "--max-tokens", args.max_length,
               "--kernel", args.isa, "--workers", args.threads)
        with open(out / "metrics.jsonl") as file:
            steps = [json.loads(line) for line in file][args.skip :]
        return (args.steps - args.skip) * args.batch / sum(s["tokens"] / s["tokens_per_second"] for s in steps), out

    def train_trl(at):
        output, _ = run(sys.executable, here / "trl_reward.py", "--model", base, "--data", folder / "pairs.jsonl",
                        "--out", folder / f"trl-{at}", "--steps", args.steps, "--skip", args.skip, "--batch", args.batch,
                        "--learning-rate", 1e-5, "--max-length", args.max_length, "--threads", args.threads)
        result = last(output)
        return result["pairs"] / result["seconds"]

    ours, theirs = [], []
    for at in range(args.runs):
        speed, model = train_tandem(at)
        ours.append(speed)
        theirs.append(train_trl(at))

    texts = [rendered(d) for d in dialogues if length(d) <= args.max_length][: args.texts]
    with open(folder / "rendered.jsonl", "w") as file:
        for t in texts:
            file.write(json.dumps({"text": t}) + "\n")

    def score_tandem():
        with open(folder / "rendered.jsonl") as stdin:
            output, seconds = tandem("score", "--model", model, "--kernel", args.isa, "--workers", args.threads, stdin=stdin)
        return len(texts) / seconds, [json.loads(line)["score"] for line in output.splitlines()]

    def score_transformers():
        output, _ = run(sys.executable, here / "transformers_scores.py", "--model", model, "--data", folder / "rendered.jsonl",
                        "--batch", 32, "--threads", args.threads)
        result = last(output)
        return result["texts"] / result["seconds"], result["scores"]

    our_scores, their_scores = [], []
    for _ in range(args.runs):
        speed, a = score_tandem()
        our_scores.append(speed)
        speed, b = score_transformers()
        their_scores.append(speed)
    difference = max(abs(x - y) for x, y in zip(a, b, strict=True))

parameters = 4096 * args.hidden + args.layers * (4 * args.hidden**2 + 3 * args.hidden * (8 * args.hidden // 3))
print(f"{parameters / 1e6:.1f} M parameters, {args.threads} threads, {args.isa}, float32; "
      f"batches of {args.batch} pairs of at most {args.max_length} tokens; median (all) of {args.runs} runs\n")
print("| | tandem | reference | ratio |\n|---|---|---|---|")
for name, a, b in [("pairs trained a second, TRL's RewardTrainer", ours, theirs),
                   ("texts scored a second, transformers", our_scores, their_scores)]:
    shown = lambda values: f"{statistics.median(values):.1f} ({', '.join(f'{v:.1f}' for v in sorted(values))})"
    print(f"| {name} | {shown(a)} | {shown(b)} | {statistics.median(a) / statistics.median(b):.2f} |")
print(f"\nThe scores of the {len(texts)} texts differ by at most {difference:.1e}.")
