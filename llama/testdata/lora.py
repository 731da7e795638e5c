#!/usr/bin/env python3
"""Makes the adapters of lora/ and their golden values, and checks what tandem wrote.

Made with Python 3.11, torch 2.15.0, transformers 5.24.0, peft 0.21.2, safetensors 0.8.0, numpy 2.4.6 on CPU:

    python3 -m venv env
    env/bin/pip install torch==2.15.0 transformers==5.24.0 peft==0.21.2 safetensors==0.8.0 numpy==2.4.6
    env/bin/python lora.py                 # writes lora/ anew

Each folder under lora/ is an adapter as PEFT saves it, of random A and B, on the model of golden.py whose name stands
before the dot. golden.safetensors beside it has what PEFT's model gives for the sequences of that model's golden.json:
logits of a policy and the gradients of its loss, or scores and the gradients of the ranking loss, as README.md
describes them, by every parameter that PEFT trains, under its name.

The way back: an adapter that tandem wrote must load in PEFT, and give with the base what the merged model beside it
gives in transformers alone, and what the golden values say, to 1e-5 (relative for values above 1).

    TANDEM_GOLDEN_OUT=/tmp/written go test ./llama/checkpoint -run TestPEFTReads -count=1
    env/bin/python lora.py --check /tmp/written
"""

import argparse
import json
import pathlib
import shutil
import sys

import numpy
import peft
import safetensors.numpy
import torch
import transformers

import golden

HERE = pathlib.Path(__file__).parent

# base.name: the adapter's configuration
ADAPTERS = {
    "gqa_tied.all": dict(r=3, lora_alpha=6, target_modules="all-linear"),
    "untied.attention": dict(r=2, lora_alpha=3, target_modules=["q_proj", "v_proj"]),
    "classifier.some": dict(r=4, lora_alpha=16, target_modules=["k_proj", "o_proj", "up_proj", "down_proj"]),
}


def base(name):
    folder = HERE / name.split(".")[0]
    config = transformers.AutoConfig.from_pretrained(folder)
    kind = getattr(transformers, config.architectures[0])
    return kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval(), json.loads((folder / "golden.json").read_text())


def values(model, wanted):
    """Outputs for each sequence, and the gradients of golden.py's losses by what is trained."""
    outputs = golden.each(model, wanted["sequences"])
    if "pairs" in wanted:
        scores = torch.stack([z.reshape(-1)[-1] for z in outputs])
        gaps = [scores[p["chosen"]] - scores[p["rejected"]] - p["margin"] for p in wanted["pairs"]]
        loss, tensors = -torch.nn.functional.logsigmoid(torch.stack(gaps)).mean(), {"scores": scores}
    else:
        loss, count, tensors = 0.0, 0, {"logits": torch.cat(outputs)}
        for z, s, m in zip(outputs, wanted["sequences"], wanted["mask"]):
            chosen = torch.log_softmax(z[:-1], -1).gather(1, torch.tensor(s[1:], dtype=torch.long)[:, None])[:, 0]
            loss, count = loss - (chosen * torch.tensor(m[1:], dtype=torch.float32)).sum(), count + sum(m[1:])
        loss = loss / count
    model.zero_grad()
    loss.backward()
    for key, p in model.named_parameters():
        if p.requires_grad:  # the names are those of the saved file
            tensors["grad." + key.replace(".default", "").replace(".modules_to_save", "")] = p.grad
    return {key: numpy.ascontiguousarray(t.detach().numpy(), numpy.float32) for key, t in tensors.items()}


def make():
    shutil.rmtree(HERE / "lora", ignore_errors=True)
    for number, (name, options) in enumerate(ADAPTERS.items()):
        model, wanted = base(name)
        config = peft.LoraConfig(task_type="SEQ_CLS" if "pairs" in wanted else "CAUSAL_LM", **options)
        model = peft.get_peft_model(model, config).eval()
        draw = torch.Generator().manual_seed(300 + number)
        with torch.no_grad():
            for key, p in model.named_parameters():
                if p.requires_grad:
                    size = 0.3 if "lora_B" in key else 1.0  # as large as the matrices would make rounding errors grow
                    p.copy_(size * torch.randn(p.shape, generator=draw) / p.shape[1] ** 0.5)
        tensors = values(model, wanted)
        folder = HERE / "lora" / name
        model.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
        text = json.loads((folder / "adapter_config.json").read_text())
        text["base_model_name_or_path"] = f"../../{name.split('.')[0]}"
        text["target_modules"] = sorted(text["target_modules"])  # a set, in any order
        (folder / "adapter_config.json").write_text(json.dumps(text, indent=2, sort_keys=True) + "\n")
        safetensors.numpy.save_file(tensors, folder / "golden.safetensors")
        for file in folder.glob("*.safetensors"):
            file.chmod(0o644)
        print(f"{name}: {model.num_parameters(only_trainable=True)} parameters trained")


def check(written):
    """Every folder under written is named as one of lora/ and holds a merged model with adapter/ in it."""
    failed = []
    folders = sorted(pathlib.Path(written).iterdir())
    for folder in folders:
        want = safetensors.numpy.load_file(HERE / "lora" / folder.name / "golden.safetensors")
        model, wanted = base(folder.name)
        adapted = peft.PeftModel.from_pretrained(model, folder / "adapter").eval()
        kind = getattr(transformers, transformers.AutoConfig.from_pretrained(folder).architectures[0])
        merged, info = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
        problems = {key: sorted(map(str, value)) for key, value in info.items() if value}
        differences = {}
        for which, m in {"adapter": adapted, "merged": merged.eval()}.items():
            with torch.no_grad():
                logits = golden.each(m, wanted["sequences"])
            if "scores" in want:
                got, target = numpy.array([z.reshape(-1)[-1] for z in logits]), want["scores"]
            else:
                got, target = torch.cat(logits).numpy(), want["logits"]
            differences[which] = float((numpy.abs(got - target) / numpy.maximum(1, numpy.abs(target))).max())
        print(folder.name, differences, problems)
        if problems or max(differences.values()) > 1e-5:
            failed.append(folder.name)
    if failed or not folders:
        sys.exit(f"PEFT does not agree with what tandem wrote: {failed}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", metavar="DIR", help="compare the folders under DIR, which tandem wrote")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    check(arguments.check) if arguments.check else make()
