"""Train a reward model with TRL's RewardTrainer for some steps and print how long they took.

python trl_reward.py --model DIR --data FILE --steps N --skip N --batch N --out DIR

FILE has TRL's conversational preference pairs, a JSON object a line. The last line on stdout is
{"pairs": …, "tokens": …, "seconds": …} of the steps after the skipped ones, data loading included; tokens are those
of the texts, padding not counted.
"""

import argparse
import json
import time

import torch
from datasets import load_dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer, TrainerCallback
from trl import RewardConfig, RewardTrainer

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--data", required=True)
parser.add_argument("--out", required=True)
parser.add_argument("--steps", type=int, required=True)
parser.add_argument("--skip", type=int, required=True)
parser.add_argument("--batch", type=int, required=True)
parser.add_argument("--learning-rate", type=float, required=True)
parser.add_argument("--max-length", type=int, required=True)
parser.add_argument("--threads", type=int, required=True)
args = parser.parse_args()
torch.set_num_threads(args.threads)


class Watch(TrainerCallback):
    """Watch times the steps from the end of the last one skipped to the end of the last one."""

    def __init__(self):
        self.start = self.end = 0.0

    def on_step_end(self, _args, state, control, **_):
        self.end = time.perf_counter()
        if state.global_step == args.skip:
            self.start = self.end


watch = Watch()
trainer = RewardTrainer(
    model=AutoModelForSequenceClassification.from_pretrained(args.model, num_labels=1, dtype=torch.float32),
    processing_class=AutoTokenizer.from_pretrained(args.model),
    train_dataset=load_dataset("json", data_files=args.data, split="train"),
    args=RewardConfig(
        output_dir=args.out, max_steps=args.steps, per_device_train_batch_size=args.batch,
        learning_rate=args.learning_rate, max_length=args.max_length, adam_beta2=0.95, weight_decay=0.1,
        gradient_checkpointing=False, bf16=False, use_cpu=True, save_strategy="no", logging_steps=args.steps,
        report_to="none", disable_tqdm=True, seed=1,
    ),
    callbacks=[watch],
)
trainer.train()
print(json.dumps({"pairs": (args.steps - args.skip) * args.batch, "seconds": watch.end - watch.start}))
