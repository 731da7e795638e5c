package chat

// Llama2 is Llama 2's own chat template, for models that ship none (appendix A.3.3 of the paper and
// https://github.com/meta-llama/llama/blob/main/llama/generation.py; the text is that of the Hugging Face
// models): every pair of turns is a sequence of its own, [INST] … [/INST] answer between BOS and EOS, and
// the system message stands inside the first.
const Llama2 = `{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}` +
	`{% for message in loop_messages %}` +
	`{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}` +
	`{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\n' + system_message + '\n<</SYS>>\n\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}` +
	`{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}` +
	`{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}` +
	`{% endfor %}`

// Compact is a chat template for small models with tokenizer.DefaultTrainConfig's role markers: one token
// a turn, and EOS after each answer.
const Compact = `{{- bos_token }}` +
	`{%- for message in messages %}` +
	`{{- '<|' + message['role'] + '|>' }}` +
	`{%- if message['role'] == 'assistant' %}` +
	`{%- generation %}{{- message['content'] + eos_token }}{%- endgeneration %}` +
	`{%- else %}{{- message['content'] }}{%- endif %}` +
	`{%- endfor %}` +
	`{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- endif %}`
