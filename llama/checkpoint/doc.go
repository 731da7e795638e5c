// Package checkpoint keeps models and training states on disk. Every stage of the loop begins by loading
// a model here and ends by saving one.
//
// # Models
//
// A model is a folder in the Hugging Face layout: config.json, model.safetensors (several files with an
// index when large), the tokenizer's files, generation_config.json, and tandem.json with the model's
// lineage. A policy is a LlamaForCausalLM, a reward model a LlamaForSequenceClassification with one
// label. [Load] reads what transformers 4 and 5 write and llama2.c's .bin besides; transformers, vLLM and
// llama.cpp's converter read what [Save] writes. In memory the query, key and value projections are
// packed, as are gate and up ([llama.Weights]); [Tensors] is the map between the two.
//
// Files come from anywhere and are not trusted: sizes, offsets, names and numbers are checked before
// they are used, and memory is spent only on what the files really hold.
//
// # Commits
//
// A checkpoint exists when its manifest.json does, which lists every file's size and SHA-256 and is
// written last. Until then whatever stood in its place stays. [Store] is where checkpoints are kept: a
// local [Folder], or an object store. [Load] compares every byte with the manifest, [Verify] does only
// that. Removing manifest.json turns a checkpoint into a plain model folder, which is taken as it is.
//
// # Training states
//
// [States] keeps a run's last few states, tensors and JSON, by the same protocol.
package checkpoint
