"""Run iterations of TRL's PPOTrainer and print how long they took.

python trl_ppo.py --shape JSON --batch N --minibatch N --prompt N --tokens N --skip N --iterations N --threads N --out DIR

JSON is the "shape" that `tandem bench ppo --json` prints. Policy, reference, value and reward model have random weights
of it, prompts are random, and every answer has all its tokens, so that nothing is padded. One epoch over the answers,
a gradient step of the policy and of the value model for each minibatch. The last line on stdout is {"seconds": [of each
iteration after the skipped ones], "peak_memory_bytes": …}.
"""

import argparse
import json
import resource
import time

import torch
from datasets import Dataset
from tokenizers import Tokenizer, models
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification, PreTrainedTokenizerFast, TrainerCallback
from trl.experimental.ppo import PPOConfig, PPOTrainer

parser = argparse.ArgumentParser()
parser.add_argument("--shape", required=True)
parser.add_argument("--out", required=True)
for name in ("batch", "minibatch", "prompt", "tokens", "skip", "iterations", "threads"):
    parser.add_argument("--" + name, type=int, required=True)
args = parser.parse_args()
torch.set_num_threads(args.threads)
torch.manual_seed(1)

shape = json.loads(args.shape)
# The pad token lies outside the vocabulary, so that no sampled token is taken for it.
vocabulary, pad = shape["vocabulary"], shape["vocabulary"]
config = dict(
    vocab_size=vocabulary, hidden_size=shape["hidden"], intermediate_size=shape["intermediate"], num_hidden_layers=shape["layers"],
    num_attention_heads=shape["heads"], num_key_value_heads=shape["key_value_heads"],
    max_position_embeddings=max(shape["context"], args.prompt + args.tokens), tie_word_embeddings=shape.get("tied", False),
    bos_token_id=None, eos_token_id=None, pad_token_id=None,
)
policy = lambda: LlamaForCausalLM(LlamaConfig(**config)).float()
classifier = lambda: LlamaForSequenceClassification(LlamaConfig(**config, num_labels=1)).float()
model, reference = policy(), policy()
reference.load_state_dict(model.state_dict())

names = {f"t{i}": i for i in range(vocabulary)} | {"<pad>": pad}
tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(names, unk_token="t0")), pad_token="<pad>", eos_token="<pad>")
prompts = torch.randint(vocabulary, (args.batch * (args.skip + args.iterations), args.prompt)).tolist()


class Watch(TrainerCallback):
    """Watch notes when iterations end."""

    def __init__(self):
        self.ends = []

    def on_step_end(self, *_, **__):
        self.ends.append(time.perf_counter())


watch = Watch()
trainer = PPOTrainer(
    model=model, ref_model=reference, reward_model=classifier(), value_model=classifier(), processing_class=tokenizer,
    train_dataset=Dataset.from_dict({"input_ids": prompts}), eval_dataset=Dataset.from_dict({"input_ids": prompts[:1]}),
    args=PPOConfig(
        output_dir=args.out, total_episodes=len(prompts), num_ppo_epochs=1, num_mini_batches=args.batch // args.minibatch,
        # A step for each minibatch: with gradient accumulation TRL would take one for the whole batch.
        per_device_train_batch_size=args.batch, gradient_accumulation_steps=1, local_rollout_forward_batch_size=args.batch,
        response_length=args.tokens, temperature=1.0, kl_coef=0.01, learning_rate=3e-5, num_sample_generations=0,
        gradient_checkpointing=False, bf16=False, use_cpu=True, save_strategy="no", eval_strategy="no", logging_steps=1,
        report_to="none", disable_tqdm=True, seed=1,
    ),
    callbacks=[watch],
)
trainer.train()
ends = watch.ends[args.skip - 1 :]
print(json.dumps({
    "seconds": [b - a for a, b in zip(ends, ends[1:])],
    "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
}))
