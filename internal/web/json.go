package web

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// unmarshal reads a request's JSON. NUL characters, which Postgres keeps in no text, are refused here, where the
// place that holds one is known.
func unmarshal(data []byte, v any) error {
	if err := huma.DefaultJSONFormat.Unmarshal(data, v); err != nil {
		return err
	}
	// huma reads a body into an any first, to hold it against the schema.
	if parsed, ok := v.(*any); ok && bytes.Contains(data, []byte(`\u0000`)) {
		if place, ok := findNUL(*parsed, "body"); ok {
			return fmt.Errorf("%s holds a NUL character, which cannot be kept", place)
		}
	}
	return nil
}

// findNUL is the place of a text that holds a NUL character, as problems name places: body.items[0].name.
func findNUL(v any, place string) (string, bool) {
	switch v := v.(type) {
	case string:
		return place, strings.ContainsRune(v, 0)
	case []any:
		for i, item := range v {
			if where, ok := findNUL(item, place+"["+strconv.Itoa(i)+"]"); ok {
				return where, true
			}
		}
	case map[string]any:
		for name, item := range v {
			if strings.ContainsRune(name, 0) {
				return "a name in " + place, true
			}
			if where, ok := findNUL(item, place+"."+name); ok {
				return where, true
			}
		}
	}
	return "", false
}
