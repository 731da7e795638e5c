package tokenizer

import (
	"encoding/json"
	"sort"
	"strconv"

	"tandem"
)

// config is what tokenizer_config.json and its companions say beside the vocabulary.
type config struct {
	class          string // tokenizer_class
	addBOS, addEOS *bool
	bos, eos       string
	pad, unk       string
	added          []addedToken
	template       string
	templates      map[string]string // by name; nil if there is one
}

// specialContent reads a special token, written as a string or as an added token's object.
type specialContent string

func (s *specialContent) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		*s = specialContent(text)
		return nil
	}
	var object struct {
		Content string `json:"content"`
	}
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	*s = specialContent(object.Content)
	return nil
}

// specialNames are the special tokens that tokenizer_config.json and special_tokens_map.json both name.
type specialNames struct {
	BOS specialContent `json:"bos_token"`
	EOS specialContent `json:"eos_token"`
	PAD specialContent `json:"pad_token"`
	UNK specialContent `json:"unk_token"`
}

// companions are the files beside a tokenizer that say more of it.
var companions = [...]string{"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja"}

// parseConfig reads the companions, as far as they are there.
func parseConfig(files map[string][]byte) (config, error) {
	var out config
	var f struct {
		specialNames
		Class        string                `json:"tokenizer_class"`
		AddBOS       *bool                 `json:"add_bos_token"`
		AddEOS       *bool                 `json:"add_eos_token"`
		AddedTokens  map[string]addedToken `json:"added_tokens_decoder"`
		ChatTemplate json.RawMessage       `json:"chat_template"`
	}
	if err := readJSON(files, "tokenizer_config.json", &f); err != nil {
		return config{}, err
	}
	var names specialNames
	if err := readJSON(files, "special_tokens_map.json", &names); err != nil {
		return config{}, err
	}
	out.class, out.addBOS, out.addEOS = f.Class, f.AddBOS, f.AddEOS
	for _, n := range []struct {
		to           *string
		first, other specialContent
	}{
		{&out.bos, f.BOS, names.BOS}, {&out.eos, f.EOS, names.EOS},
		{&out.pad, f.PAD, names.PAD}, {&out.unk, f.UNK, names.UNK},
	} {
		if *n.to = string(n.first); *n.to == "" {
			*n.to = string(n.other)
		}
	}
	for key, t := range f.AddedTokens {
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil {
			return config{}, tandem.Errorf(tandem.Invalid, op, "tokenizer_config.json: added_tokens_decoder has the id %q", key)
		}
		t.ID = int32(id)
		out.added = append(out.added, t)
	}
	var added map[string]int32
	if err := readJSON(files, "added_tokens.json", &added); err != nil {
		return config{}, err
	}
	var plain []addedToken
	for content, id := range added {
		plain = append(plain, addedToken{ID: id, Content: content, Normalized: true})
	}
	out.added = withMissing(out.added, plain)
	sort.Slice(out.added, func(i, j int) bool { return out.added[i].ID < out.added[j].ID })
	if err := out.readTemplates(files, f.ChatTemplate); err != nil {
		return config{}, err
	}
	return out, nil
}

// readTemplates reads the chat template: one string, a list of named ones, or a file of its own, which
// wins as in transformers.
func (c *config) readTemplates(files map[string][]byte, raw json.RawMessage) error {
	if !isNull(raw) {
		var list []struct{ Name, Template string }
		if err := json.Unmarshal(raw, &c.template); err != nil {
			if err := json.Unmarshal(raw, &list); err != nil {
				return tandem.Errorf(tandem.Invalid, op, "tokenizer_config.json: chat_template is neither a text nor a list of named texts")
			}
			c.templates = make(map[string]string)
			for _, t := range list {
				c.templates[t.Name] = t.Template
			}
			c.template = c.templates["default"]
		}
	}
	if text, ok := files["chat_template.jinja"]; ok {
		c.template = string(text)
	}
	return nil
}

// apply gives t its roles and what it adds to a text.
func (c *config) apply(t *Tokenizer) error {
	for _, role := range []struct {
		content string
		id      *int32
	}{
		{c.bos, &t.special.BOS}, {c.eos, &t.special.EOS}, {c.pad, &t.special.PAD}, {c.unk, &t.special.UNK},
	} {
		if role.content == "" {
			continue
		}
		id := t.find(role.content)
		if id == None {
			return tandem.Errorf(tandem.Invalid, op, "tokenizer_config.json names the token %q, which is not in the vocabulary", role.content)
		}
		*role.id = id
	}
	t.template, t.templates = c.template, c.templates
	// transformers' Llama classes rebuild the post-processor from these two; the generic class leaves
	// it as tokenizer.json has it.
	if c.class == "LlamaTokenizer" || c.class == "LlamaTokenizerFast" {
		t.before, t.after = nil, nil
		if (c.addBOS == nil || *c.addBOS) && t.special.BOS != None {
			t.before = []int32{t.special.BOS}
		}
		if c.addEOS != nil && *c.addEOS && t.special.EOS != None {
			t.after = []int32{t.special.EOS}
		}
	}
	return nil
}

// find returns the id of a token by its content, added tokens first.
func (t *Tokenizer) find(content string) int32 {
	if id, ok := t.added.ids[content]; ok {
		return id
	}
	for id, tok := range t.tokens {
		if tok.known && tok.content == content {
			return int32(id)
		}
	}
	return None
}

// readJSON reads a file if it is there.
func readJSON(files map[string][]byte, name string, to any) error {
	data, ok := files[name]
	if !ok {
		return nil
	}
	if err := json.Unmarshal(data, to); err != nil {
		return tandem.Errorf(tandem.Invalid, op, "%s is not readable: %w", name, err)
	}
	return nil
}
