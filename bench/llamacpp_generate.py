"""Sample from a policy with llama.cpp and print how many tokens a second it decodes.

python llamacpp_generate.py --model DIR --prompts FILE --tokens N --runs N --threads N

FILE has a JSON list of prompts of one length, in token ids: a batch. The model is written as GGUF in float32 first, and
the cache is float32 too. Time begins when the prompts are taken in. The last line on stdout is {"tokens_per_second": of
decoding and sampling, "decoded_per_second": of llama_decode alone, both of the best run, "logprobs": ln P of each token
of the first prompt after its first}.
"""

import argparse
import ctypes
import json
import pathlib
import tempfile
import time

import gguf
import llama_cpp
import numpy
from safetensors.numpy import load_file

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--prompts", required=True)
for name in ("tokens", "runs", "threads"):
    parser.add_argument("--" + name, type=int, required=True)
args = parser.parse_args()


def convert(folder, path):
    """convert writes a LlamaForCausalLM as GGUF, without a vocabulary: token ids are all that is needed."""
    config = json.loads((folder / "config.json").read_text())
    heads, layers = config["num_attention_heads"], config["num_hidden_layers"]
    keys = config.get("num_key_value_heads") or heads
    size = config.get("head_dim") or config["hidden_size"] // heads
    w = gguf.GGUFWriter(path, "llama")
    w.add_block_count(layers)
    w.add_context_length(config["max_position_embeddings"])
    w.add_embedding_length(config["hidden_size"])
    w.add_feed_forward_length(config["intermediate_size"])
    w.add_head_count(heads)
    w.add_head_count_kv(keys)
    w.add_key_length(size)
    w.add_value_length(size)
    w.add_rope_dimension_count(size)
    w.add_rope_freq_base(config.get("rope_theta") or config["rope_parameters"]["rope_theta"])
    w.add_layer_norm_rms_eps(config["rms_norm_eps"])
    w.add_vocab_size(config["vocab_size"])
    w.add_file_type(gguf.LlamaFileType.ALL_F32)
    w.add_tokenizer_model("none")
    tensors = {name: t.astype(numpy.float32) for file in sorted(folder.glob("*.safetensors")) for name, t in load_file(file).items()}

    def turned(t, heads):  # llama.cpp turns neighbours, transformers the halves of a head
        return t.reshape(heads, 2, size // 2, t.shape[1]).swapaxes(1, 2).reshape(t.shape)

    names = {"self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
             "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
    w.add_tensor("token_embd.weight", tensors["model.embed_tokens.weight"])
    w.add_tensor("output_norm.weight", tensors["model.norm.weight"])
    if not config.get("tie_word_embeddings"):
        w.add_tensor("output.weight", tensors["lm_head.weight"])
    for i in range(layers):
        old, new = f"model.layers.{i}.", f"blk.{i}."
        w.add_tensor(new + "attn_q.weight", turned(tensors[old + "self_attn.q_proj.weight"], heads))
        w.add_tensor(new + "attn_k.weight", turned(tensors[old + "self_attn.k_proj.weight"], keys))
        for a, b in names.items():
            w.add_tensor(f"{new}{b}.weight", tensors[f"{old}{a}.weight"])
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


@llama_cpp.llama_log_callback
def quiet(*_):
    pass


llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
prompts = json.loads(pathlib.Path(args.prompts).read_text())
n, length = len(prompts), len(prompts[0])
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "model.gguf"
    convert(pathlib.Path(args.model), path)
    options = llama_cpp.llama_model_default_params()
    options.n_gpu_layers, options.use_mmap = 0, False
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), options)
    assert model, "llama.cpp does not read the model"
vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
options = llama_cpp.llama_context_default_params()
room = -(-(length + args.tokens) // 256) * 256  # of a sequence
options.n_ctx, options.n_seq_max, options.n_batch, options.n_ubatch = room * n, n, n * length, max(512, n * length)
options.n_threads = options.n_threads_batch = args.threads
options.type_k = options.type_v = llama_cpp.GGML_TYPE_F32
options.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED  # it would round keys and values to float16
context = llama_cpp.llama_init_from_model(model, options)
memory = llama_cpp.llama_get_memory(context)
batch = llama_cpp.llama_batch_init(n * length, 0, 1)
samplers = []
for i in range(n):
    chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
    llama_cpp.llama_sampler_chain_add(chain, llama_cpp.llama_sampler_init_temp(1.0))
    llama_cpp.llama_sampler_chain_add(chain, llama_cpp.llama_sampler_init_dist(i))
    samplers.append(chain)


def put(at, token, position, sequence, wanted):
    batch.token[at], batch.pos[at], batch.n_seq_id[at], batch.logits[at] = token, position, 1, wanted
    batch.seq_id[at][0] = sequence


def decode(tokens):
    batch.n_tokens = tokens
    start = time.perf_counter()
    assert llama_cpp.llama_decode(context, batch) == 0
    llama_cpp.llama_synchronize(context)
    return time.perf_counter() - start


def take_in():
    llama_cpp.llama_memory_clear(memory, True)
    for i, prompt in enumerate(prompts):
        for position, token in enumerate(prompt):
            put(i * length + position, token, position, i, position == length - 1)
    decode(n * length)
    return [i * length + length - 1 for i in range(n)]


best, decoding = 0.0, 0.0
for run in range(args.runs + 1):
    rows, bare = take_in(), 0.0
    tokens = [llama_cpp.llama_sampler_sample(s, context, row) for s, row in zip(samplers, rows)]
    start = time.perf_counter()
    for step in range(args.tokens - 1):
        for i, token in enumerate(tokens):
            put(i, token, length + step, i, True)
        bare += decode(n)
        tokens = [llama_cpp.llama_sampler_sample(s, context, i) for i, s in enumerate(samplers)]
    seconds = time.perf_counter() - start
    if run > 0:  # the first warms up
        best, decoding = max(best, n * (args.tokens - 1) / seconds), max(decoding, n * (args.tokens - 1) / bare)

llama_cpp.llama_memory_clear(memory, True)
for position, token in enumerate(prompts[0]):
    put(position, token, position, 0, True)
decode(length)
logprobs = []
for position in range(length - 1):
    logits = numpy.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, position), (vocabulary,)).astype(float)
    logprobs.append(float(logits[prompts[0][position + 1]] - logits.max() - numpy.log(numpy.exp(logits - logits.max()).sum())))
print(json.dumps({"tokens_per_second": best, "decoded_per_second": decoding, "logprobs": logprobs}))
