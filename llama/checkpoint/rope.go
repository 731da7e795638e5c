package checkpoint

import (
	"maps"
	"slices"

	"tandem"
	"tandem/llama"
)

// parseRope reads the rotary embedding's parameters: rope_theta and rope_scaling of transformers 4, or
// rope_parameters of transformers 5, which holds both.
func parseRope(f fields, c *llama.Config) error {
	c.RopeTheta = 10000
	if _, err := f.get("rope_theta", &c.RopeTheta); err != nil {
		return err
	}
	name := "rope_scaling"
	if f.has("rope_parameters") {
		name = "rope_parameters"
	}
	var rope fields
	if found, err := f.get(name, &rope); err != nil || !found {
		return err
	}
	bad := func(code tandem.Code, format string, args ...any) error {
		return tandem.Errorf(code, opConfig, name+format, args...)
	}
	if _, err := rope.get("rope_theta", &c.RopeTheta); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(rope)) {
		switch key {
		case "rope_type", "type", "rope_theta", "factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings":
		case "partial_rotary_factor":
			if s := string(rope[key]); rope.has(key) && s != "1" && s != "1.0" {
				return bad(tandem.Unsupported, ".%s is %s, which is not supported", key, shorten(rope[key]))
			}
		default:
			if rope.has(key) {
				return bad(tandem.Unsupported, ".%s is not supported", key)
			}
		}
	}
	kind := "default"
	if _, err := rope.get("type", &kind); err != nil {
		return err
	}
	if _, err := rope.get("rope_type", &kind); err != nil {
		return err
	}
	s := &llama.RopeScaling{Type: kind}
	type number struct {
		key   string
		value *float64
	}
	var need []number
	switch kind {
	case "default":
		return nil
	case "linear":
		need = []number{{"factor", &s.Factor}}
	case "llama3":
		need = []number{{"factor", &s.Factor}, {"low_freq_factor", &s.LowFreqFactor}, {"high_freq_factor", &s.HighFreqFactor}}
	default:
		return bad(tandem.Unsupported, " of type %q is not supported (default, linear and llama3 are)", kind)
	}
	for _, n := range need {
		found, err := rope.get(n.key, n.value)
		if err != nil {
			return err
		}
		if !found {
			return bad(tandem.Invalid, ".%s is missing", n.key)
		}
		if !(*n.value > 0) {
			return bad(tandem.Invalid, ".%s is %g, not positive", n.key, *n.value)
		}
	}
	if s.Factor < 1 {
		return bad(tandem.Invalid, ".factor is %g, less than 1", s.Factor)
	}
	if kind == "llama3" {
		if found, err := rope.get("original_max_position_embeddings", &s.OriginalMaxPosition); err != nil {
			return err
		} else if !found || s.OriginalMaxPosition <= 0 {
			return bad(tandem.Invalid, ".original_max_position_embeddings is missing or not positive")
		}
		if s.HighFreqFactor <= s.LowFreqFactor {
			return bad(tandem.Invalid, ".high_freq_factor %g is not above low_freq_factor %g", s.HighFreqFactor, s.LowFreqFactor)
		}
	}
	c.RopeScaling = s
	return nil
}
