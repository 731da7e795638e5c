"""Writes bleu.json: BLEU-4 of sentences and Self-BLEU of sets of them by nltk (pip install nltk==3.10.4).

    python bleu.py > bleu.json
"""

import json
import random

from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

smooth = SmoothingFunction().method1


def bleu(text, references):
    text = text.lower().split()
    if not text:
        return 0.0
    return float(sentence_bleu([r.lower().split() for r in references], text, smoothing_function=smooth))


def drawn(rng):
    words = "the a cat dog sits runs on in under mat house and barks , .".split()
    return " ".join(rng.choice(words) for _ in range(rng.choice([0, 1, 2, 3, 4, 5, 8, 12, 20])))


cases = [
    ["The cat sits on the mat .", "the cat sits on the mat .", "A dog runs."],
    ["the the the the the the the", "the cat is on the mat", "there is a cat on the mat"],
    ["one two three", "four five six"],
    ["one", "one"],
    ["one two", "one two"],
    ["a b c d", "a b c d e f", "a b"],
    ["", "a b", "c d"],
    ["Überall ist Sonne ,\nüberall ist Wind", "überall  ist sonne , überall war wind"],
]
rng = random.Random(1)
cases += [[drawn(rng) for _ in range(rng.choice([2, 3, 5, 25]))] for _ in range(60)]
out = [
    {
        "texts": texts,
        "bleu": bleu(texts[0], texts[1:]),
        "self_bleu": sum(bleu(t, texts[:i] + texts[i + 1 :]) for i, t in enumerate(texts)) / len(texts),
    }
    for texts in cases
]
print(json.dumps(out, ensure_ascii=False, indent=0))
