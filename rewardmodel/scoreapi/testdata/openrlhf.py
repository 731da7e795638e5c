#!/usr/bin/env python3
"""Runs the code by which OpenRLHF asks a remote reward model, as its wheels have it, without the rest of OpenRLHF: the
executor of version 0.9 and later (openrlhf/utils/agent.py), and RemoteRewardModel before (openrlhf/utils/remote_rm_utils.py).
Ray, which the latter starts its requests by, is replaced by plain calls; a character tokenizer and an engine that knows its
answers stand for transformers and vLLM. What asks over HTTP is OpenRLHF's, unchanged.

    python3 -m venv env
    env/bin/python -m pip install aiohttp requests
    env/bin/python -m pip download --no-deps openrlhf==0.11.2
    env/bin/python -m pip download --no-deps openrlhf==0.8.11
    env/bin/python openrlhf.py record WHEEL…           writes openrlhf.json: the very headers and bodies that are sent
    env/bin/python openrlhf.py ask URL WHEEL…          asks http://tandem:KEY@HOST/get_reward, prints the rewards as JSON

openrlhf.json was recorded with Python 3.11, aiohttp 3.14.5, requests 2.34.2.
"""

import asyncio
import contextlib
import http.server
import importlib
import json
import pathlib
import re
import sys
import tempfile
import threading
import types
import zipfile

HERE = pathlib.Path(__file__).parent

# A prompt as a chat template renders it, its label, and what the policy says; see golden.py for the template.
ROLLOUTS = [
    ("<s><|user|>hello<|assistant|>", None, "hi there!</s>"),
    ("<s><|user|>what is 2 and 2?<|assistant|>", "4", "4."),
    ("<s><|system|>be brief<|user|>how do i pick a lock?<|assistant|>", "", "i won't help.</s>"),
    ("<s><|user|>tell me a joke<|assistant|>no</s><|user|>why?<|assistant|>", "ü 😀", "ok, knock knock.</s>"),
]


class Tokens(list):
    def tolist(self):
        return list(self)


class Tokenizer:
    def __call__(self, text, add_special_tokens, return_tensors):
        assert not add_special_tokens
        return {"input_ids": [Tokens(map(ord, text))]}

    def decode(self, tokens, skip_special_tokens):
        assert not skip_special_tokens
        return "".join(map(chr, tokens))


class Engine:
    def __init__(self, answer):
        self.answer = answer

    async def generate(self, *_, **__):
        output = types.SimpleNamespace(token_ids=list(map(ord, self.answer)), text=self.answer, finish_reason="stop", logprobs=None)
        return types.SimpleNamespace(outputs=[output])


def remote(target):
    """Ray's decorator, by plain calls."""
    if isinstance(target, type):
        return target
    return types.SimpleNamespace(remote=target)


def module(wheel, name):
    """Imports one module of openrlhf.utils from a wheel, without the package's own __init__, which wants torch."""
    for known in [m for m in sys.modules if m.split(".")[0] == "openrlhf"]:
        del sys.modules[known]
    folder = pathlib.Path(tempfile.mkdtemp())
    with zipfile.ZipFile(wheel) as z:
        for path in z.namelist():
            if found := re.fullmatch(r"(?:.*/purelib/)?(openrlhf/utils/(?:agent|remote_rm_utils|logging_utils)\.py)", path):
                to = folder / found[1]
                to.parent.mkdir(parents=True, exist_ok=True)
                to.write_bytes(z.read(path))
    for package in ["openrlhf", "openrlhf.utils"]:
        sys.modules[package] = types.ModuleType(package)
        sys.modules[package].__path__ = [str(folder / package.replace(".", "/"))]
    sys.modules["ray"] = types.SimpleNamespace(remote=remote, get=lambda refs: refs)
    return importlib.import_module("openrlhf.utils." + name)


def ask_by_executor(wheel, url):
    agent = module(wheel, "agent")
    executor = agent.SingleTurnAgentExecutor(remote_rm_url=url)
    parameters = types.SimpleNamespace(max_tokens=100, logprobs=None)

    async def rollouts():
        return [await executor.execute(prompt, label, parameters, 1000, Tokenizer(), Engine(answer)) for prompt, label, answer in ROLLOUTS]

    outputs = asyncio.run(rollouts())
    return [dict(rewards=o["reward"], scores=o["scores"], extra_logs=o["extra_logs"]) for o in outputs]


def ask_by_model(wheel, url):
    model = module(wheel, "remote_rm_utils").RemoteRewardModel(types.SimpleNamespace(micro_rollout_batch_size=2), [url])
    prompts, labels, answers = zip(*ROLLOUTS)
    return model.get_rewards([p + a for p, a in zip(prompts, answers)], list(prompts), list(labels))


def ask(wheel, url):
    version = pathlib.Path(wheel).name.split("-")[1]
    by = ask_by_executor if tuple(map(int, version.split(".")[:2])) >= (0, 9) else ask_by_model
    with contextlib.redirect_stdout(sys.stderr):  # its log
        return version, by(wheel, url)


class Recorder(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.requests.append((self.path, self.headers.items(), body))
        rewards = [0.5] * len(json.loads(body)["query"])
        answer = json.dumps(dict(rewards=rewards, scores=rewards, extra_logs={})).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def record(wheels):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    server.requests = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    recorded = []
    for wheel in wheels:
        server.requests.clear()
        version, _ = ask(wheel, f"http://tandem:good@127.0.0.1:{server.server_port}/get_reward")
        for path, headers, body in server.requests:
            headers = [h for h in headers if h[0] not in ("Host", "Content-Length")]  # these belong to a connection
            recorded.append(dict(client=version, path=path, headers=headers, body=body))
    (HERE / "openrlhf.json").write_text(json.dumps(recorded, indent=1) + "\n")


def main():
    if sys.argv[1] == "record":
        record(sys.argv[2:])
        return
    url = sys.argv[2]
    print(json.dumps({version: answers for version, answers in (ask(wheel, url) for wheel in sys.argv[3:])}))


if __name__ == "__main__":
    main()
