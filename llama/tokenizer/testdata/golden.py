"""Writes the tokenizers and the golden ids that this package's tests compare with.

    python -m venv venv && venv/bin/pip install tokenizers==0.23.3 transformers==5.23.0 sentencepiece==0.2.3
    venv/bin/python golden.py [folder of shared data]

Everything is small and made here: the training text is the script's own. For every string of
strings.json each golden/NAME.json has

    plain     ids with special tokens spelled in the text left as text, nothing added
    rendered  ids with special tokens recognised and what the tokenizer adds by default
    decoded   the text of `rendered`, special tokens left out; spelled: with them
    random    sequences of ids, and their texts

tiny/ is written by the Go test (go test -run TestTrainGolden -update) and only read here.
"""

import io
import json
import os
import random
import struct
import sys

import sentencepiece
import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

assert (tokenizers.__version__, sentencepiece.__version__) == ("0.23.3", "0.2.3")
HERE = os.path.dirname(os.path.abspath(__file__))
random.seed(7)

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

CORPUS = [
    "The quick brown fox jumps over the lazy dog. She didn't say that they're here; we've seen it, I'll go, he'd come.",
    "Once upon a time there was a little girl who loved to play outside in the park with her red ball.",
    "Human: How do I bake bread? Assistant: Mix flour, water, salt and yeast, and wait for two hours.",
    "def main():\n    for i in range(10):\n        print(i, i ** 2)\n    return {'a': 1, \"b\": [2, 3]}\n",
    "func (t *T) Run(ctx context.Context) error {\n\tif err := t.x(); err != nil {\n\t\treturn err\n\t}\n}\n",
    "In 1999, 2,048 people paid $3.50 each; 100% of 12345678 numbers were 0.001 or 1e-5.",
    "Le cœur déçu mais l'âme plutôt naïve, Louÿs rêva de crapaüter en canoë. Größe, Straße, über.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "日本語の文章です。こんにちは世界。今日はいい天気ですね。中文也可以。",
    "emoji 😀 😃 👍🏽 👨‍👩‍👧‍👦 🇩🇪 ❤️ and symbols → ← ∀x∈ℝ ≤ ≥ ½ ² ₃",
    "مرحبا بالعالم שלום עולם नमस्ते दुनिया สวัสดีชาวโลก 안녕하세요",
    "   leading and   many    spaces\t\ttabs\n\n\nnewlines\r\n",
] * 3

SPECIALS = ["<|start|>", "<|end|>", "<|pad|>", "[INST]", "<s>", "</s>", "<unk>", "<|user|>", "<|start_story|>", "<|end_story|>"]


def strings():
    out = ["", " ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", " \n", "\n ", " \n \n", "a", " a", "a ", " a ", "\u00a0", "\u3000x", "\u200b", "\ufeff", "\ufffd", "▁", "▁▁a", "a▁b", "Ġ", "ĠaĠ", "\x00", "\x01\x7f", "\u0085", "\u2028"]
    out += CORPUS[:12]
    out += [s for s in SPECIALS] + ["a" + s + "b" for s in SPECIALS] + [" " + s + " " for s in SPECIALS] + [s + s for s in SPECIALS]
    out += ["<s>[INST] hi [/INST] there </s>", "<|start|>user\nHello<|end|>\n<|start|>assistant\n", "<|star", "<|start|", "<<s>>", "<|START|>", "x<|pad|><|pad|>y", "<0x41>", "<0x0A>x", "<s", "s>"]
    out += ["it's IT'S It'S 's 't 're 've 'm 'll 'd 'S 'RE 'Ll 'x '", "can't won't shouldn't've", "'ſ x'ſy", "don’t ‘quote’ “double”"]
    out += ["1", "12", "123", "1234", "12345678901234567890", "3.14159", "1,000,000", "٣٤٥", "१२३४", "½¾", "²³¹", "ⅫⅣ", "x1y22z333", "1a2b3c"]
    out += ["a" * n for n in (2, 3, 7, 50, 500)] + [" " * n for n in (4, 5, 8, 33)] + ["\n" * n for n in (3, 4, 9)] + ["ab" * 100, "😀" * 20, "=" * 80, "- " * 30, "\t" * 7 + "x", " \t \n\t x"]
    out += ["é", "e\u0301", "ﬁ ﬂ", "Ⅷ", "Å", "A\u030a", "\u0344", "ﷺ", "각", "ᄀ\u1161\u11a8", "ｆｕｌｌ　ｗｉｄｔｈ", "①②③", "ǆ", "İ", "ß", "ẞ", "ΣΑΣ", "ﾊﾟ", "ℌ", "가\u11a8"]
    out += ["😀", "👍🏽", "👨‍👩‍👧‍👦", "🇩🇪🇫🇷", "❤️", "☺", "a😀b", " 😀 ", "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f", "👩🏾‍🚀", "𝔘𝔫𝔦", "𐍈", "\U0010ffff", "\ue000", "\U000f0000"]
    out += ["if (x<0) { y = -1; } // c++", "for(;;){}", "#include <stdio.h>\nint main(){return 0;}", "SELECT * FROM t WHERE a='b';", "https://example.com/a?b=c&d=%20e#f", "user@example.org", "C:\\path\\to", "```python\nprint('x')\n```", "\\n \\t \\u0041", "{\"a\": [1, 2, {\"b\": null}]}", "<html><body>&amp;</body></html>", "a+b=c; a!=b; a<=b; a->b; a::b; a...b", "snake_case camelCase PascalCase SCREAMING_CASE kebab-case"]
    out += ["Hello, world!", "Hello,world!", "HELLO WORLD", "hello  world", "hello\nworld", "hello\r\nworld", "hello \nworld", "hello\n world", "hello \n world", "hello\n\n\nworld", "hello.\n\n  world", "hello!!!\n", "...\n\n", "!\r\n\r\n!", " !", "  !", "   hello", "hello   ", "hello\t\tworld", "\u00a0\u00a0x", "x\u2003y", "x\u200dy", "x\u3000\u3000y", "a\u0300\u0301b", " \u0300", "क्षि", "สวัสดี", "ﻻ"]
    words = sorted({w for line in CORPUS for w in line.split()})
    alphabet = list("aeiou tnrs  \n\t.,'\"0123<>|_-▁Ġ") + ["é", "ß", "日", "本", "😀", "\u0301", "\u00a0", "ж", "ا", "👍", "🏽", "'s", " the", "\r\n", "<s>", "<|end|>"]
    for _ in range(60):
        out.append(" ".join(random.choice(words) for _ in range(random.randint(1, 12))))
    for _ in range(80):
        out.append("".join(random.choice(alphabet) for _ in range(random.randint(1, 30))))
    return out


STRINGS = strings()


def write(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, ensure_ascii=True, separators=(",", ":"))
        f.write("\n")


def golden(name, encode, decode, size):
    rendered = [encode(s, True) for s in STRINGS]
    ids = [[random.randrange(size) for _ in range(random.randint(1, 12))] for _ in range(150)]
    write(f"{HERE}/golden/{name}.json", {
        "plain": [encode(s, False) for s in STRINGS],
        "rendered": rendered,
        "decoded": [decode(i, True) for i in rendered],
        "spelled": [decode(i, False) for i in rendered],
        "random": ids,
        "random_decoded": [decode(i, True) for i in ids],
    })


def fast_golden(name, t):
    # tokenizers 0.23 spells special tokens that are matched in normalized text with what the normalizer
    # prepends, and so fails to leave them out of decoded text; transformers' own decode does not.
    plain = json.loads(t.to_str())
    for token in plain["added_tokens"]:
        token["normalized"] = False
    decoder = Tokenizer.from_str(json.dumps(plain))

    def encode(text, rendered):
        t.encode_special_tokens = not rendered
        return t.encode(text, add_special_tokens=rendered).ids

    golden(name, encode, lambda ids, skip: decoder.decode(ids, skip_special_tokens=skip), t.get_vocab_size())


def save(name, t, config):
    os.makedirs(f"{HERE}/{name}", exist_ok=True)
    t.save(f"{HERE}/{name}/tokenizer.json", pretty=False)
    write(f"{HERE}/{name}/tokenizer_config.json", config)
    fast_golden(name, t)


def bos_template(t, bos):
    return processors.TemplateProcessing(single=f"{bos} $A", pair=f"{bos} $A {bos}:1 $B:1", special_tokens=[(bos, t.token_to_id(bos))])


def gpt2():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=600, special_tokens=["<|end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    t.add_tokens([AddedToken("[INST]", lstrip=True, rstrip=True, normalized=False), AddedToken("<|user|>", single_word=True, normalized=True)])
    old_merges = json.loads(t.to_str())
    old_merges["model"]["merges"] = [" ".join(m) for m in old_merges["model"]["merges"]]
    save("gpt2", Tokenizer.from_str(json.dumps(old_merges)), {"tokenizer_class": "GPT2Tokenizer", "eos_token": "<|end|>"})
    with open(f"{HERE}/gpt2/tokenizer.json", "w", encoding="utf-8") as f:
        json.dump(old_merges, f, ensure_ascii=False, separators=(",", ":"))


def llama3():
    t = Tokenizer(models.BPE(ignore_merges=True))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated", invert=False), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=700, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    model = json.loads(t.to_str())
    # A word that no merge reaches: ignore_merges must find it.
    model["model"]["vocab"]["Ġzyzzyva"] = len(model["model"]["vocab"])
    t = Tokenizer.from_str(json.dumps(model))
    t.add_special_tokens([AddedToken(s, normalized=False, special=True) for s in ("<|start|>", "<|end|>", "<|pad|>")])
    t.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), bos_template(t, "<|start|>")])
    save("llama3", t, {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|start|>", "eos_token": {"__type": "AddedToken", "content": "<|end|>", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False}, "pad_token": "<|pad|>"})


def qwen2():
    """NFC, a regular expression without a scanner of its own, digits one by one, specials normalized."""
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN2), "isolated", invert=False), pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=500, special_tokens=["<|start|>", "<|end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    save("qwen2", t, {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|end|>"})


def llama2():
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.train_from_iterator([line[:60] for line in CORPUS[:7]] * 3, trainers.BpeTrainer(vocab_size=700, special_tokens=["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]))
    model = json.loads(t.to_str())
    model["added_tokens"] = model["added_tokens"][:3]  # the byte tokens are the model's alone
    t = Tokenizer.from_str(json.dumps(model))
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    t.post_processor = bos_template(t, "<s>")
    save("llama2", t, {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "add_bos_token": True, "add_eos_token": False})


def metaspace():
    """Unknown characters without byte fallback, Metaspace both ways, NFKC, every Split behavior in turn."""
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=False))
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), "  "), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=True),
        pre_tokenizers.Split(Regex(r"[.,;]"), "merged_with_previous"),
        pre_tokenizers.Split(Regex(r"[(\[{]"), "merged_with_next"),
        pre_tokenizers.Split("e", "isolated"),
        pre_tokenizers.Split(Regex(r"[0-9]"), "contiguous"),
        pre_tokenizers.Split("\t", "removed"),
    ])
    t.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="first")
    t.train_from_iterator([line[:50] for line in CORPUS[:4]], trainers.BpeTrainer(vocab_size=200, special_tokens=["<unk>", "<|end|>"]))
    save("metaspace", t, {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|end|>", "unk_token": "<unk>"})


def sentencepiece_golden(name, **options):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter([part for line in CORPUS for part in line.split("\n") if part]), model_writer=model, character_coverage=0.98, minloglevel=2, num_threads=1, **options)
    os.makedirs(f"{HERE}/{name}", exist_ok=True)
    with open(f"{HERE}/{name}/tokenizer.model", "wb") as f:
        f.write(model.getvalue())
    sp = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    # SentencePiece recognises no special tokens in text and adds none: both forms are the same but for BOS.
    golden(name, lambda text, rendered: ([sp.bos_id()] if rendered else []) + sp.encode(text), lambda ids, skip: sp.decode([int(i) for i in ids]), sp.get_piece_size())


def llama2c(path):
    """run.c's encode() and decode() line by line, on stories260K's tok512.bin."""
    data = open(path, "rb").read()
    pieces, scores, at = [], [], 4
    while at < len(data):
        score, length = struct.unpack_from("<fi", data, at)
        pieces.append(data[at + 8 : at + 8 + length])
        scores.append(score)
        at += 8 + length
    ids = {p: i for i, p in reversed(list(enumerate(pieces)))}

    def encode(text, rendered):
        tokens = []
        if text:
            tokens.append(ids[b" "])
        for c in text:
            c = c.encode()
            tokens += [ids[c]] if c in ids else [b + 3 for b in c]
        while True:
            best = max(((scores[ids[pieces[a] + pieces[b]]], -i) for i, (a, b) in enumerate(zip(tokens, tokens[1:])) if pieces[a] + pieces[b] in ids), default=None)
            if best is None:
                return [1] * rendered + tokens
            i = -best[1]
            tokens[i : i + 2] = [ids[pieces[tokens[i]] + pieces[tokens[i + 1]]]]

    def decode(tokens, skip):
        out, first = b"", True
        for t in tokens:
            if t < 3:
                continue
            p = pieces[t]
            if first and p.startswith(b" "):
                p = p[1:]
            first = False
            out += bytes([t - 3]) if t < 259 else p
        return "".join(chr(0xFFFD) if 0xDC80 <= ord(c) <= 0xDCFF else c for c in out.decode(errors="surrogateescape"))

    golden("llama2c", encode, decode, len(pieces))


def main():
    write(f"{HERE}/strings.json", STRINGS)
    gpt2()
    llama3()
    qwen2()
    llama2()
    metaspace()
    llama = dict(normalization_rule_name="identity", byte_fallback=True, split_digits=True, add_dummy_prefix=True, remove_extra_whitespaces=False, allow_whitespace_only_pieces=True)
    sentencepiece_golden("spbpe", model_type="bpe", vocab_size=600, user_defined_symbols=["<|user|>", "[INST]"], **llama)
    sentencepiece_golden("spnfkc", model_type="bpe", vocab_size=400)
    sentencepiece_golden("spunigram", model_type="unigram", vocab_size=260, normalization_rule_name="identity", user_defined_symbols=["<|user|>"])
    sentencepiece_golden("spunibytes", model_type="unigram", vocab_size=600, hard_vocab_limit=False, **llama)
    if os.path.exists(f"{HERE}/tiny/tokenizer.json"):
        fast_golden("tiny", Tokenizer.from_file(f"{HERE}/tiny/tokenizer.json"))
    if len(sys.argv) > 1:
        fast_golden("tinystories", Tokenizer.from_file(f"{sys.argv[1]}/tinystories-656k/tokenizer.json"))
        llama2c(f"{sys.argv[1]}/stories260K/tok512.bin")


main()
