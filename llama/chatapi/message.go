package chatapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tandem"
)

// parseMessages reads the dialogue of a request.
func parseMessages(value json.RawMessage) (tandem.Dialogue, *failure) {
	var given []map[string]json.RawMessage
	if isNull(value) {
		return nil, invalid("messages", invalidValue, "messages is missing.")
	}
	if json.Unmarshal(value, &given) != nil {
		return nil, invalid("messages", invalidValue, "messages is not a list of objects.")
	}
	dialogue := make(tandem.Dialogue, len(given))
	for i, fields := range given {
		m, f := parseMessage(fmt.Sprintf("messages[%d]", i), fields)
		if f != nil {
			return nil, f
		}
		dialogue[i] = m
	}
	if err := (tandem.Prompt{Messages: dialogue}).Validate(); err != nil {
		return nil, invalid("messages", invalidValue, "%s.", sentence(err))
	}
	return dialogue, nil
}

// parseMessage reads one message, which stands at where.
func parseMessage(where string, fields map[string]json.RawMessage) (tandem.Message, *failure) {
	var m tandem.Message
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name == "role" || name == "content" {
			continue
		}
		if f := refuseParameter(name, where+"."+name, fields[name], messageAsksNothing); f != nil {
			return m, f
		}
	}
	var role string
	if isNull(fields["role"]) || json.Unmarshal(fields["role"], &role) != nil {
		return m, invalid(where+".role", invalidValue, "%s has no role that is a string.", where)
	}
	switch role {
	case "developer": // OpenAI's newer word for it
		m.Role = tandem.System
	case string(tandem.System), string(tandem.User), string(tandem.Assistant):
		m.Role = tandem.Role(role)
	case "tool", "function":
		return m, invalid(where+".role", unsupportedValue, "%s has the role %s, and tools are not supported here.", where, role)
	default:
		return m, invalid(where+".role", invalidValue, "%s has a role that is none of system, developer, user and assistant.", where)
	}
	var f *failure
	m.Content, f = parseContent(where+".content", fields["content"])
	return m, f
}

// parseContent reads a message's text, or its parts.
func parseContent(where string, value json.RawMessage) (string, *failure) {
	var text string
	if isNull(value) {
		return "", invalid(where, invalidValue, "%s is missing.", where)
	}
	if json.Unmarshal(value, &text) == nil {
		return text, nil
	}
	var parts []struct {
		Type string  `json:"type"`
		Text *string `json:"text"`
	}
	if json.Unmarshal(value, &parts) != nil {
		return "", invalid(where, invalidValue, "%s is neither a string nor a list of parts.", where)
	}
	texts := make([]string, len(parts))
	for i, p := range parts {
		at := fmt.Sprintf("%s[%d]", where, i)
		if p.Type != "text" {
			return "", invalid(at+".type", unsupportedValue, "%s is not of the type text, and no other is supported here.", at)
		}
		if p.Text == nil {
			return "", invalid(at+".text", invalidValue, "%s has no text.", at)
		}
		texts[i] = *p.Text
	}
	return strings.Join(texts, "\n"), nil
}
