package main

import (
	"encoding/json"
	"fmt"

	"tandem"
)

// What a line of input must say is told from what it leaves out: encoding/json alone reads a null among
// tokens as token 0, and a message without content as an empty one.

// tokenIDs are the token ids of a line.
type tokenIDs []int32

func (t *tokenIDs) UnmarshalJSON(text []byte) error {
	var given []*int32
	if err := json.Unmarshal(text, &given); err != nil || given == nil {
		return err
	}
	*t = make(tokenIDs, len(given))
	for i, id := range given {
		if id == nil {
			return fmt.Errorf("token %d is null", i)
		}
		(*t)[i] = *id
	}
	return nil
}

// messages are the dialogue of a line.
type messages tandem.Dialogue

func (m *messages) UnmarshalJSON(text []byte) error {
	var given []struct {
		Role    *tandem.Role `json:"role"`
		Content *string      `json:"content"`
	}
	if err := json.Unmarshal(text, &given); err != nil || given == nil {
		return err
	}
	*m = make(messages, len(given))
	for i, g := range given {
		switch {
		case g.Role == nil:
			return fmt.Errorf(`message %d has no "role"`, i+1)
		case g.Content == nil:
			return fmt.Errorf(`message %d has no "content"`, i+1)
		}
		(*m)[i] = tandem.Message{Role: *g.Role, Content: *g.Content}
	}
	return nil
}
