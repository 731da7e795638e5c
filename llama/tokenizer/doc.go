// Package tokenizer turns text into the token ids that a model reads, and ids back into text.
//
// Every stage of the loop stands on it: pre-training and supervised fine-tuning encode their data by it,
// reward models score what it encoded, the sampler's ids come back through it. So its ids must be the
// ids of whoever trained the model, one for one. [Open] reads what models ship:
//
//   - tokenizer.json, the format of Hugging Face's tokenizers
//     (https://huggingface.co/docs/tokenizers): byte-level BPE as in Llama 3 and GPT-2, BPE with byte
//     fallback as in Llama 2;
//   - tokenizer.model, a SentencePiece protobuf (https://github.com/google/sentencepiece), BPE or unigram;
//   - llama2.c's tok512.bin (https://github.com/karpathy/llama2.c).
//
// What a file asks for and this package does not do is refused with the component's name; nothing is
// skipped. [Train] makes a byte-level BPE for a new small model and writes it as tokenizer.json.
//
// # Special tokens and text that nobody vouches for
//
// What people and models wrote is encoded by [Tokenizer.Encode]: there "<|eot_id|>" is ten characters
// like any others, and no text can produce a special token (other than the unknown token). Only
// [Tokenizer.EncodeRendered], meant for text that a chat template rendered, recognises special tokens.
package tokenizer
