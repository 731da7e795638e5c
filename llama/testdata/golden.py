#!/usr/bin/env python3
"""Makes the tiny random models of this folder and their golden values, and checks what tandem wrote.

Made with Python 3.11, torch 2.15.0, transformers 5.23.0, safetensors 0.8.0, numpy 2.4.6 on CPU:

    python3 -m venv env
    env/bin/pip install torch==2.15.0 transformers==5.23.0 safetensors==0.8.0 numpy==2.4.6
    env/bin/python golden.py                 # writes every model folder anew

Each run gives the same files with the same versions (one thread, fixed seeds, float32). The versions are
written into every golden.json. README.md describes the format.

The way back: a folder that tandem wrote must load in transformers and give the same logits.

    TANDEM_GOLDEN_OUT=/tmp/written go test ./llama/checkpoint -run TestTransformersReads -count=1
    env/bin/python golden.py --check /tmp/written

compares every folder under /tmp/written with the golden values of its name here, and records the result
under the version of transformers in check.json.
"""

import argparse
import json
import pathlib
import shutil
import sys

import numpy
import safetensors
import safetensors.numpy
import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification

HERE = pathlib.Path(__file__).parent
TEMPERATURE = 0.7

BASE = dict(
    vocab_size=48, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
    num_key_value_heads=1, max_position_embeddings=64, rms_norm_eps=1e-5, tie_word_embeddings=False,
    bos_token_id=1, eos_token_id=2, pad_token_id=0, attn_implementation="eager",
)
LLAMA3 = dict(rope_type="llama3", rope_theta=100.0, factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=32)

# name: what differs from BASE; "dtype" is how the weights are stored, the values are computed in float32
# from the rounded weights.
MODELS = {
    "gqa_tied": dict(hidden_size=32, num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True),
    "untied": dict(num_key_value_heads=2, rope_parameters=dict(rope_type="default", rope_theta=500000.0)),
    "llama3": dict(rope_parameters=LLAMA3),
    "linear": dict(rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=2.0)),
    "bf16": dict(dtype="bfloat16"),
    "fp16": dict(dtype="float16"),
    "sharded": dict(shard="8KB"),
    "head_dim": dict(head_dim=12),
    "classifier": dict(classifier=True),
    "classifier_bf16": dict(classifier=True, dtype="bfloat16", rope_parameters=LLAMA3, tie_word_embeddings=True),
}


def versions():
    return {
        "python": ".".join(map(str, sys.version_info[:2])), "torch": torch.__version__.split("+")[0],
        "transformers": transformers.__version__, "safetensors": safetensors.__version__, "numpy": numpy.__version__,
    }


def build(name, seed):
    """A model with weights large enough that its logits differ clearly: matrices from N(0, 1.5² / columns),
    embeddings that are no output matrix from N(0, 1), norm gains around 1. Weights are rounded to the type in which they are stored."""
    options = {**BASE, **MODELS[name]}
    classifier, dtype = options.pop("classifier", False), getattr(torch, options.pop("dtype", "float32"))
    shard = options.pop("shard", None)
    if classifier:
        options["num_labels"] = 1
    config = LlamaConfig(**options)
    model = (LlamaForSequenceClassification if classifier else LlamaForCausalLM)(config).float().eval()
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, p in model.named_parameters():
            z = torch.randn(p.shape, generator=draw)
            if p.dim() == 1:
                z = 1 + 0.2 * z
            elif "embed" not in key or (config.tie_word_embeddings and not classifier):
                z *= 1.5 / p.shape[1] ** 0.5
            p.copy_(z.to(dtype).float())
    return model, dtype, shard


def sequences(seed, vocab, lengths=(7, 1, 33, 12, 2, 20)):
    """Ragged sequences of ids that begin with BOS and hold no PAD, and masks of the tokens whose loss counts."""
    draw = numpy.random.default_rng(seed)
    ids = [[1] + draw.integers(3, vocab, n - 1).tolist() for n in lengths]
    mask = [[0] + draw.integers(0, 2, n - 1).tolist() for n in lengths]
    return ids, mask


def each(model, ids):
    """The model's logits for each sequence by itself: no batch, no padding."""
    return [model(input_ids=torch.tensor([s]), use_cache=False).logits[0] for s in ids]


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {key: p.grad.numpy().copy() for key, p in model.named_parameters()}


def language_goldens(model, ids, mask):
    """Logits of every position; the loss −Σ mask·ln P(token | before) / Σ mask over all sequences and its
    gradients; ln P at TEMPERATURE of every token, 0 for the first of a sequence; a greedy continuation."""
    logits = each(model, ids)
    loss, count = 0.0, 0
    logprobs = []
    for z, s, m in zip(logits, ids, mask):
        target, weight = torch.tensor(s[1:], dtype=torch.long), torch.tensor(m[1:], dtype=torch.float32)
        chosen = torch.log_softmax(z[:-1], -1).gather(1, target[:, None])[:, 0]
        loss, count = loss - (chosen * weight).sum(), count + int(weight.sum())
        tempered = torch.log_softmax(z[:-1] / TEMPERATURE, -1).gather(1, target[:, None])[:, 0]
        logprobs += [0.0] + tempered.tolist()
    loss = loss / count
    grads = gradients(model, loss)
    greedy, gap = list(ids[0]), float("inf")
    with torch.no_grad():
        for _ in range(16):
            top = each(model, [greedy])[0][-1].topk(2)
            gap = min(gap, float(top.values[0] - top.values[1]))
            greedy.append(int(top.indices[0]))
    assert gap > 1e-3, f"the greedy continuation hangs on a difference of {gap}"
    values = {"loss": loss.item(), "temperature": TEMPERATURE, "greedy": greedy[len(ids[0]):]}
    tensors = {"logits": torch.cat(logits).detach().numpy(), "logprobs": numpy.array(logprobs, numpy.float32)}
    return values, tensors, grads


def ranking_goldens(model, ids):
    """The score of every sequence, read at its last token; the ranking loss
    mean over pairs of −ln σ(r_chosen − r_rejected − margin) and its gradients."""
    scores = torch.stack([z.reshape(-1)[-1] for z in each(model, ids)])
    pairs = [dict(chosen=0, rejected=2, margin=1.0), dict(chosen=3, rejected=5, margin=2 / 3),
             dict(chosen=4, rejected=0, margin=0.0), dict(chosen=1, rejected=5, margin=1 / 3)]
    gaps = torch.stack([scores[p["chosen"]] - scores[p["rejected"]] - p["margin"] for p in pairs])
    loss = -torch.nn.functional.logsigmoid(gaps).mean()
    grads = gradients(model, loss)
    return {"loss": loss.item(), "pairs": pairs}, {"scores": scores.detach().numpy()}, grads


def goldens(model, classifier, ids, mask):
    if classifier:
        values, tensors, grads = ranking_goldens(model, ids)
    else:
        values, tensors, grads = language_goldens(model, ids, mask)
        values["mask"] = mask
    tensors.update({"grad." + key: g for key, g in grads.items()})
    return values, tensors


def make():
    for number, name in enumerate(MODELS):
        model, dtype, shard = build(name, seed=100 + number)
        classifier = isinstance(model, LlamaForSequenceClassification)
        ids, mask = sequences(200 + number, model.config.vocab_size)
        values, tensors = goldens(model, classifier, ids, mask)
        folder = HERE / name
        shutil.rmtree(folder, ignore_errors=True)
        model.to(dtype).save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))
        tensors = {key: numpy.ascontiguousarray(t, numpy.float32) for key, t in tensors.items()}
        safetensors.numpy.save_file(tensors, folder / "golden.safetensors")
        for file in folder.glob("*.safetensors"):
            file.chmod(0o644)
        values = {"versions": versions(), "sequences": ids, **values}
        (folder / "golden.json").write_text(json.dumps(values) + "\n")
        print(f"{name}: loss {values['loss']:.4f}, {sum(p.numel() for p in model.parameters())} parameters")


def check(written):
    """Loads every folder under written in transformers and compares it with the golden values of its name.
    A suffix behind a dot ("untied.BF16") tells variants apart; the tolerance for rounded weights is theirs."""
    results = {}
    for folder in sorted(pathlib.Path(written).iterdir()):
        name, _, variant = folder.name.partition(".")
        golden = json.loads((HERE / name / "golden.json").read_text())
        want = safetensors.numpy.load_file(HERE / name / "golden.safetensors")
        config = transformers.AutoConfig.from_pretrained(folder)
        kind = getattr(transformers, config.architectures[0])
        model, info = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
        problems = {key: sorted(map(str, value)) for key, value in info.items() if value}
        with torch.no_grad():
            logits = each(model.eval(), golden["sequences"])
        if "scores" in want:
            difference = numpy.abs(numpy.array([z.reshape(-1)[-1] for z in logits]) - want["scores"]).max()
        else:
            difference = numpy.abs(torch.cat(logits).numpy() - want["logits"]).max()
        limit = {"": 1e-5, "F32": 1e-5, "BF16": 0.3, "F16": 0.05}.get(variant, 1e-5)
        passed = bool(difference <= limit) and not problems
        results[folder.name] = {"max_difference": float(f"{difference:.3g}"), "limit": limit, "passed": passed,
                                **({"problems": problems} if problems else {})}
        print(folder.name, results[folder.name])
    record = HERE / "check.json"
    recorded = json.loads(record.read_text()) if record.exists() else {}
    recorded[transformers.__version__] = {"versions": versions(), "results": results}
    record.write_text(json.dumps(recorded, indent=2, sort_keys=True) + "\n")
    if not results or not all(r["passed"] for r in results.values()):
        sys.exit("transformers does not agree with what tandem wrote")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", metavar="DIR", help="compare the folders under DIR, which tandem wrote")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    check(arguments.check) if arguments.check else make()
