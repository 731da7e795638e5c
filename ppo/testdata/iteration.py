#!/usr/bin/env python3
"""One iteration of PPO in PyTorch, by the formulas of TRL's PPOTrainer, on answers that tandem sampled.

Made with Python 3.11, torch 2.15.0, transformers 5.23.0, safetensors 0.8.0, numpy 2.4.6 on CPU, in float64:

    TANDEM_GOLDEN_OUT=/tmp/sampled go test ./ppo -run TestIterationAgainstPyTorch -count=1
    env/bin/python iteration.py /tmp/sampled/*.json     # writes each as .json and .safetensors here

The models are llama/testdata's: untied is the policy, head_dim the reference, classifier the critic. What differs
from TRL, as this project documents it: whitening divides by n, values are clipped in deviations of the returns,
minibatches are taken in the batch's order, and policy and critic have an AdamW each.
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import save_file
from transformers import LlamaForCausalLM, LlamaForSequenceClassification

HERE = pathlib.Path(__file__).parent
MODELS = HERE.parent.parent / "llama" / "testdata"
torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def load(kind, name):
    model = kind.from_pretrained(MODELS / name, dtype=torch.float64, attn_implementation="eager").eval()
    model.model.embed_tokens.padding_idx = None  # answers hold token 0, whose row must be trained too
    return model


def whiten(x):
    return (x - x.mean()) * torch.rsqrt(x.var(correction=0) + 1e-8)


def split(x, answers):
    return list(torch.split(x, [len(a["tokens"]) for a in answers]))


def distribution(policy, answer, temperature):
    """ln P of every next token, at the rows that predict the answer."""
    ids = torch.tensor([answer["prompt"] + answer["tokens"]])
    rows = slice(len(answer["prompt"]) - 1, -1)
    return torch.log_softmax(policy(ids).logits[0, rows] / temperature, dim=-1)


def logprobs(policy, answer, temperature):
    return distribution(policy, answer, temperature).gather(1, torch.tensor(answer["tokens"])[:, None])[:, 0]


def values(critic, answer):
    ids = torch.tensor([answer["prompt"] + answer["tokens"]])
    return critic.score(critic.model(ids).last_hidden_state)[0, len(answer["prompt"]) - 1:-1, 0]


def language_modelling(policy, sequences):
    """Mean over the tokens that count of −weight · ln P(token | tokens before it)."""
    total, count = 0.0, 0
    for s in sequences:
        ids = torch.tensor([s["Tokens"]])
        weights = torch.tensor(s["Weights"] or [1.0] * len(s["Tokens"]), dtype=torch.float64)[1:]
        logs = torch.log_softmax(policy(ids).logits[0, :-1], dim=-1).gather(1, ids[0, 1:, None])[:, 0]
        total = total - (weights * logs).sum()
        count += int((weights != 0).sum())
    return total / count


def optimizer(model, rate, c):
    """Weight decay is for matrices, not for the gains of norms."""
    named = list(model.named_parameters())
    return torch.optim.AdamW([
        {"params": [p for _, p in named if p.dim() >= 2], "weight_decay": c["weight_decay"]},
        {"params": [p for _, p in named if p.dim() < 2], "weight_decay": 0},
    ], lr=rate, betas=(0.9, 0.95), eps=1e-5)


def step(model, opt, loss, c):
    opt.zero_grad()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), c["gradient_clip"])
    opt.step()
    return norm.item()


def kl_estimate(name, log_ratio):
    """As TRL has it, from ln r = ln π_0 − ln π_θ."""
    return {"k1": -log_ratio, "k2": log_ratio ** 2 / 2, "k3": (log_ratio.exp() - 1) - log_ratio}[name]


def iterate(path):
    sampled = json.loads(path.read_text())
    c, answers = sampled["config"], sampled["answers"]
    policy, reference = load(LlamaForCausalLM, "untied"), load(LlamaForCausalLM, "head_dim")
    critic = load(LlamaForSequenceClassification, "classifier")
    temperature = c["temperature"]

    with torch.no_grad():
        p = [distribution(policy, a, temperature) for a in answers]
        entropy = torch.cat([-(x.exp() * x).sum(1) for x in p])
        old = [logprobs(policy, a, temperature) for a in answers]
        ref = [logprobs(reference, a, temperature) for a in answers]
        v = [values(critic, a) for a in answers]

        # Scores at the last token, the KL penalty at every one.
        score = torch.tensor([a["score"] - (0 if a["ended"] else c["missing_eos_penalty"]) for a in answers])
        white = whiten(score)
        kl = [o - r for o, r in zip(old, ref)]
        penalty = [kl_estimate(c.get("kl_estimator", "k1"), r - o) for o, r in zip(old, ref)]
        rewards = [-c["beta"] * k for k in penalty]
        for r, s in zip(rewards, white):
            r[-1] += s
        if c.get("whiten_rewards"):  # shift_mean=False
            all_rewards = torch.cat(rewards)
            rewards = split(whiten(all_rewards) + all_rewards.mean(), answers)

        # Generalised advantage estimation, as TRL's loop has it.
        advantages, returns = [], []
        for r, value in zip(rewards, v):
            last, backwards = 0, []
            for t in reversed(range(len(r))):
                following = value[t + 1] if t < len(r) - 1 else 0.0
                delta = r[t] + c["gamma"] * following - value[t]
                last = delta + c["gamma"] * c["lambda"] * last
                backwards.append(last)
            advantages.append(torch.stack(backwards[::-1]))
            returns.append(advantages[-1] + value)
        advantages = split(whiten(torch.cat(advantages)), answers)
        all_returns = torch.cat(returns)
        value_clip = c["value_clip"] * all_returns.std(correction=0)
        tokens = len(all_returns)
        stats = {
            "objective/kl": sum(k.sum() for k in kl) / len(answers),
            "objective/non_score_reward": -c["beta"] * sum(k.sum() for k in penalty) / len(answers),
            "objective/entropy": -sum(o.sum() for o in old) / len(answers),
            "objective/scores": score.mean(),
            "policy/entropy_avg": entropy.mean(),
            "val/explained_variance": 1 - (all_returns - torch.cat(v)).var() / all_returns.var(),
            "val/num_eos_tokens": torch.tensor(float(sum(a["ended"] for a in answers))),
        }

    size = c["minibatch_size"]
    minibatches = [range(i, i + size) for i in range(0, len(answers), size)]
    of_policy, of_critic = optimizer(policy, c["learning_rate"], c), optimizer(critic, c["critic_learning_rate"], c)
    ratios, norms, losses, value_norms, value_losses = [], [], [], [], []
    approx_kl = clipped = values_clipped = 0
    ptx_losses = []
    for k, mb in enumerate(minibatches):
        pick = lambda x: torch.cat([x[i] for i in mb])
        adv, target, before = pick(advantages), pick(returns), pick(v)

        new = torch.cat([values(critic, answers[i]) for i in mb])
        held = torch.clamp(new, before - value_clip, before + value_clip)
        free, bound = (new - target) ** 2, (held - target) ** 2
        loss = 0.5 * torch.max(free, bound).mean()
        values_clipped += (bound > free).sum()
        value_losses.append(loss.item())
        value_norms.append(step(critic, of_critic, loss, c))

        p = [distribution(policy, answers[i], temperature) for i in mb]
        now = torch.cat([x.gather(1, torch.tensor(answers[i]["tokens"])[:, None])[:, 0] for i, x in zip(mb, p)])
        entropies = torch.cat([-(x.exp() * x).sum(1) for x in p])
        difference = now - pick(old)
        ratio = difference.exp()
        free, bound = -adv * ratio, -adv * torch.clamp(ratio, 1 - c["clip_ratio"], 1 + c["clip_ratio"])
        loss = torch.max(free, bound).mean()
        clipped += (bound > free).sum()
        approx_kl += 0.5 * (difference ** 2).sum()
        ratios.append(ratio.mean().item())
        losses.append(loss.item())
        loss = loss - c.get("entropy_coefficient", 0) * entropies.mean()
        if "ptx" in sampled:
            ptx_losses.append(language_modelling(policy, sampled["ptx"][k]))
            loss = loss + c["ptx_coefficient"] * ptx_losses[-1]
        norms.append(step(policy, of_policy, loss, c))

    mean = lambda x: sum(x) / len(x)
    stats |= {
        "policy/approxkl_avg": approx_kl / tokens, "policy/clipfrac_avg": clipped / tokens, "policy/grad_norm": mean(norms),
        "loss/policy_avg": mean(losses), "loss/value_avg": mean(value_losses), "val/clipfrac_avg": values_clipped / tokens,
        "val/ratio": mean(ratios), "val/grad_norm": mean(value_norms),
    }
    if ptx_losses:
        stats["loss/ptx_avg"] = mean(ptx_losses)
    sampled["metrics"] = {name: float(torch.as_tensor(x).detach()) for name, x in stats.items()}
    (HERE / path.name).write_text(json.dumps(sampled, indent=1) + "\n")
    weights = {f"{who}.{name}": x.detach().float().contiguous()
               for who, model in (("policy", policy), ("critic", critic)) for name, x in model.named_parameters()}
    save_file(weights, HERE / (path.stem + ".safetensors"))


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        iterate(pathlib.Path(argument))
