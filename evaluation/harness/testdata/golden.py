#!/usr/bin/env python3
"""Makes the questions of this folder and what lm-evaluation-harness says of them, golden.json.

Made with Python 3.11, lm_eval 0.4.13, torch 2.15.0, transformers 5.24.0, tokenizers 0.23.3, datasets 5.2.0 on CPU:

    python3 -m venv env
    env/bin/pip install lm_eval==0.4.13 torch==2.15.0 transformers==5.24.0 tokenizers==0.23.3 datasets==5.2.0
    env/bin/python golden.py MODEL        # the folder tinystories-656k

transformers 5 rebuilds tokenizers of the class LlamaTokenizer otherwise than their tokenizer.json says, so the tokenizer is
given to lm_eval as tokenizers itself reads that file.

The questions are made up. They are written in the forms that authors publish and in those of Hugging Face; lm_eval reads the
latter by its own task files, of which only the place of the data is changed, and its metrics acc_bytes is asked for as well.
golden.json has, by task, what was asked of the model word for word, its log-likelihoods and lm_eval's metrics.
"""

import csv
import json
import os
import pathlib
import sys
import tempfile

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

import datasets
import lm_eval
import tokenizers
import torch
import transformers
import yaml
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

HERE = pathlib.Path(__file__).parent
TASKS = pathlib.Path(lm_eval.__file__).parent / "tasks"

LONG = " ".join(["One day, a little girl named Lily went to the park with her mom and saw a big dog."] * 80)

ARC = [
    ("arc-1", "What did the little girl see in the sky at night?", "ABCD", ["the moon", "a fish", "the big red ball", "sand"], "A"),
    ("arc-2", "Which of these is cold?", "1234", ["fire", "ice", "the sun", "a hot cup of tea"], "2"),
    ("arc-3", "Why was Tim sad?", "ABC", ["He lost his toy.", "He was happy.", "Because the café was closed — naïvely, “forever”."], "C"),
    ("arc-4", LONG + " What did Lily see?", "ABCDE", ["a cat", "a dog", "a big dog in the park", "her mom", "nothing"], "B"),
]
ARC_EXAMPLES = [("arc-0", "What can a bird do?", "ABCD", ["fly", "read", "drive", "cook"], "A")]

SIQA = [
    ("Lily gave her toy to Tim.", "How would Tim feel as a result?", ["happy", "very sad and angry", "like a dog"], "1"),
    ("Tom fell down and hurt his knee.", "What will Tom want to do next?", ["play outside", "eat the knee", "ask his mom for help"], "3"),
]
SIQA_EXAMPLE = ("Mom made a cake.", "Why did Mom do this?", ["to sleep", "it was a birthday", "to fly"], "2")

AQUA = [
    ("Tim has 2 balls and gets 3 more. How many balls does he have?", ["A)4", "B)5", "C)6", "D)23", "E)None of these"], "B"),
    ("A car drives 60 miles in 2 hours. How fast is it?", ["A)20 mph", "B)25√3 mph", "C)30 mph", "D)60 mph", "E)120 mph"], "C"),
]

HELLASWAG = [
    ("Playing ball", "A boy is in the park with his dog.", "he throws The Ball", ["and the dog runs to get it.", "and eats the park.", "into a book, page 4.", "then the ball [laughs] and says  hello."], 0),
    ("Health", "[header] How to be happy [title] Play with your friends.", "[step] éat a good meal", ["[title] Go to bed. [step] Sleep well.", "Do not eat.", "[substeps] Run to the park. Play with a ball.", "Be sad."], 2),
    ("Cooking", "Mom is in the kitchen.", "", ["She makes a cake.", "She flies.", "She is a fish.", "The end."], 0),
]

TRUTHFULQA = [
    ("What happens if you eat too much cake?", {"You feel full": 1, "You turn into a cake": 0, "You can fly": 0},
     {"You feel full": 1, "Your tummy may hurt": 1, "You turn into a cake": 0, "You can fly": 0}),
    ("Can dogs talk?", {"No, dogs cannot talk": 1, "Yes, dogs can talk": 0},
     {"No, dogs cannot talk": 1, "Dogs bark": 1, "Yes, dogs can talk": 0, "Dogs talk at night, when nobody is there to hear them": 0}),
]

MMLU = {
    "anatomy": {
        "dev": [("What do we see with?", ["Eyes", "Ears", "Hands", "Feet"], "A"), ("What do we hear with?", ["Eyes", "Ears", "Hands", "Feet"], "B")],
        "test": [("What do we walk with?", ["Eyes", "Ears", "Hands", "Feet"], "D"), ("  How many hands has Tim, \"the boy\"?\n", ["one", "two, I think", "three", "ten"], "B")],
    },
    "us_foreign_policy": {
        "dev": [("Who is a friend?", ["A dog", "A stone", "A cloud", "A cup"], "A"), ("Who was not there?", ["Mom", "Dad", "Nobody", "Tim"], "C")],
        "test": [("What is far away?", ["The moon", "My nose", "My hand", "My hat"], "A"), ("Which is a big country?", ["A park", "A house", "A kitchen", "America"], "D"),
                 ("Where is the sea?", ["Here", "There", "Nowhere", "In a cup"], "B")],
    },
}

PLAIN = [
    ("Once upon a time, there was a little ", ["girl named Lily", "stone named Lily"], 0),  # a space at its end
    ("Lily and Tom went to the park. They saw", ["two big dogs, and ran", "very little tax return"], 0),
    ("The dog said,  \n", ["“Woof!”", "hello"], 1),
]


def lines(name, records):
    with open(HERE / name, "w", encoding="utf-8") as f:
        for r in records:
            f.write(json.dumps(r, ensure_ascii=False) + "\n")


def hub_arc(rows):
    return [{"id": i, "question": q, "choices": {"text": c, "label": list(l)}, "answerKey": a} for i, q, l, c, a in rows]


def authors_arc(rows):
    return [{"id": i, "question": {"stem": q, "choices": [{"text": t, "label": x} for t, x in zip(c, l)]}, "answerKey": a} for i, q, l, c, a in rows]


def siqa(row, label):
    context, question, answers, right = row
    record = {"context": context, "question": question} | dict(zip(("answerA", "answerB", "answerC"), answers))
    return record | ({"label": right} if label else {})


def agieval(question, options, correct):
    options = ["(" + o for o in options]
    return {"query": f"Q: {question} Answer Choices: {' '.join(options)}\nA: Among A through E, the answer is", "choices": options, "gold": ["ABCDE".index(correct)]}


def write_questions():
    lines("arc-hub.jsonl", hub_arc(ARC))
    lines("arc-hub-train.jsonl", hub_arc(ARC_EXAMPLES))
    lines("arc-authors.jsonl", authors_arc(ARC))
    lines("siqa-hub.jsonl", [siqa(r, True) for r in SIQA])
    lines("siqa-hub-train.jsonl", [siqa(SIQA_EXAMPLE, True)])
    lines("siqa-authors.jsonl", [siqa(r, False) for r in SIQA])
    (HERE / "siqa-authors-labels.lst").write_text("".join(r[3] + "\n" for r in SIQA))
    lines("aqua-authors.jsonl", [{"question": q, "options": o, "rationale": "…", "correct": c} for q, o, c in AQUA])
    lines("aqua-agieval.jsonl", [agieval(*r) for r in AQUA])
    # Their authors' labels are numbers, Hugging Face's text.
    swag = [{"ind": i, "activity_label": act, "ctx_a": a, "ctx_b": b, "ctx": a + " " + b, "endings": e, "label": l} for i, (act, a, b, e, l) in enumerate(HELLASWAG)]
    lines("hellaswag-authors.jsonl", swag)
    lines("hellaswag-hub.jsonl", [r | {"label": str(r["label"])} for r in swag])
    (HERE / "truthfulqa-authors.json").write_text(json.dumps([{"question": q, "mc1_targets": a, "mc2_targets": b} for q, a, b in TRUTHFULQA]))
    lists = lambda t: {"choices": list(t), "labels": list(t.values())}
    lines("truthfulqa-hub.jsonl", [{"question": q, "mc1_targets": lists(a), "mc2_targets": lists(b)} for q, a, b in TRUTHFULQA])
    for split in ("dev", "test"):
        (HERE / "mmlu" / split).mkdir(parents=True, exist_ok=True)
        hub = []
        for subject, splits in MMLU.items():
            with open(HERE / "mmlu" / split / f"{subject}_{split}.csv", "w", newline="", encoding="utf-8") as f:
                csv.writer(f).writerows([q, *c, a] for q, c, a in splits[split])
            hub += [{"question": q, "subject": subject, "choices": c, "answer": "ABCD".index(a)} for q, c, a in splits[split]]
        lines(f"mmlu-hub-{split}.jsonl", hub)
    lines("plain.jsonl", [{"query": q, "choices": c, "answer": a} for q, c, a in PLAIN])


METRICS = [{"metric": m, "aggregation": "mean", "higher_is_better": True} for m in ("acc", "acc_norm", "acc_bytes")]


def task(folder, name, base, files, **more):
    """A task file that is lm_eval's but for where its data lie."""
    config = {"task": name, "dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": files}, **more}
    if base:
        config["include"] = str(TASKS / base)
    (folder / f"{name}.yaml").write_text(yaml.dump(config))
    return name


def open_model(folder):
    read = tokenizers.Tokenizer.from_file(folder + "/tokenizer.json")
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=read)
    tokenizer.bos_token, tokenizer.eos_token = "<|start_story|>", "<|end_story|>"
    for text in ("Once upon a time, a dog", "日本 café"):
        assert tokenizer.encode(text) == tokenizers.Tokenizer.from_file(folder + "/tokenizer.json").encode(text).ids, text
    return HFLM(pretrained=folder, tokenizer=tokenizer, dtype="float32", device="cpu", batch_size=1)


def main():
    model = open_model(sys.argv[1])
    write_questions()
    here = lambda name: str(HERE / name)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        os.environ["HF_HOME"] = temporary
        data = lambda name, train=None: {"validation": here(name), "test": here(name)} | ({"train": here(train)} if train else {})
        runs = {
            "arc_easy": (task(folder, "golden_arc", "arc/arc_easy.yaml", data("arc-hub.jsonl", "arc-hub-train.jsonl"), metric_list=METRICS, tag=None), 0),
            "arc_easy 1-shot": ("golden_arc", 1),
            "social_iqa": (task(folder, "golden_siqa", "siqa/siqa.yaml", data("siqa-hub.jsonl", "siqa-hub-train.jsonl"), metric_list=METRICS, tag=None, fewshot_split="train"), 0),
            "social_iqa 1-shot": ("golden_siqa", 1),
            "aqua_rat": (task(folder, "golden_aqua", "agieval/aqua-rat.yaml", {"test": here("aqua-agieval.jsonl")}), 0),
            "hellaswag": (task(folder, "golden_hellaswag", "hellaswag/hellaswag.yaml", data("hellaswag-hub.jsonl", "hellaswag-hub.jsonl"), metric_list=METRICS, tag=None), 0),
            "truthfulqa_mc1": (task(folder, "golden_mc1", "truthfulqa/truthfulqa_mc1.yaml", data("truthfulqa-hub.jsonl"), tag=None), 0),
            "truthfulqa_mc2": (task(folder, "golden_mc2", "truthfulqa/truthfulqa_mc2.yaml", data("truthfulqa-hub.jsonl"), tag=None), 0),
            "multiple_choice": (task(folder, "golden_plain", None, {"test": here("plain.jsonl")}, test_split="test", output_type="multiple_choice",
                                     doc_to_text="{{query}}", doc_to_choice="choices", doc_to_target="answer", metric_list=METRICS), 0),
        }
        for subject in MMLU:
            files = {}
            for split in ("dev", "test"):
                files[split] = str(folder / f"{subject}-{split}.jsonl")
                with open(files[split], "w") as f:
                    for r in open(HERE / f"mmlu-hub-{split}.jsonl"):
                        if json.loads(r)["subject"] == subject:
                            f.write(r)
            name = task(folder, f"golden_mmlu_{subject}", f"mmlu/default/mmlu_{subject}.yaml", files, tag=None)
            runs[f"mmlu {subject} 0-shot"], runs[f"mmlu {subject} 2-shot"] = (name, 0), (name, 2)
        golden = {"versions": {"lm_eval": lm_eval.__version__, "torch": torch.__version__.split("+")[0], "transformers": transformers.__version__, "tokenizers": tokenizers.__version__, "datasets": datasets.__version__}, "runs": {}}
        manager = TaskManager(include_path=temporary)
        for run, (name, shots) in runs.items():
            done = lm_eval.simple_evaluate(model=model, tasks=[name], num_fewshot=shots, log_samples=True, task_manager=manager)
            golden["runs"][run] = {
                "metrics": {k.split(",")[0]: v for k, v in done["results"][name].items() if isinstance(v, float) and k.split(",")[0] != "alias"},
                "questions": [{"prompt": s["arguments"][0][0], "continuations": [a[1] for a in s["arguments"]], "log_likelihoods": [float(r[0][0]) for r in s["resps"]]} for s in sorted(done["samples"][name], key=lambda s: s["doc_id"])],
            }
        (HERE / "golden.json").write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n")


main()
