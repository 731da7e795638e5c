package openai

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"

	"tandem"
)

// completion is a piece of a streamed answer, or the whole of one that is not streamed.
type completion struct {
	Choices []struct {
		Delta   text   `json:"delta"`
		Message text   `json:"message"`
		Finish  string `json:"finish_reason"`
	} `json:"choices"`
	problem
}

type text struct {
	Content string `json:"content"`
}

// finishOf is the protocol's reason for an answer's end.
func finishOf(reason string) (tandem.FinishReason, error) {
	switch reason {
	case "stop", "eos", "end_turn":
		return tandem.FinishStop, nil
	case "length":
		return tandem.FinishLength, nil
	case "content_filter":
		return "", tandem.Errorf(tandem.Invalid, op, "the endpoint's content filter holds the answer back")
	}
	return "", tandem.Errorf(tandem.Unsupported, op, "the endpoint ends its answer with %q, which is no text", reason)
}

// failed is the error that a piece reports, if it does: one that may pass, since the request was taken.
func (e Endpoint) failed(c completion) error {
	if len(c.Error) == 0 || string(c.Error) == "null" {
		return nil
	}
	return tandem.Errorf(tandem.Unavailable, op, "the endpoint fails in the middle of its answer: %s", e.words(c.Error))
}

// whole reads an answer that comes in one piece.
func (e Endpoint) whole(in io.Reader, yield func(tandem.Chunk) bool) error {
	var c completion
	if err := json.NewDecoder(in).Decode(&c); err != nil {
		return err
	}
	if err := e.failed(c); err != nil {
		return err
	}
	if len(c.Choices) == 0 {
		return tandem.Errorf(tandem.Unsupported, op, "the endpoint's answer has no choices")
	}
	finish, err := finishOf(c.Choices[0].Finish)
	if err == nil && !yield(tandem.Chunk{Text: c.Choices[0].Message.Content, Finish: finish}) {
		err = errEnough
	}
	return err
}

// wholeLines splits into lines, and leaves out a last one that breaks off.
func wholeLines(data []byte, atEnd bool) (advance int, line []byte, err error) {
	if atEnd && !bytes.Contains(data, []byte("\n")) {
		return len(data), nil, nil
	}
	return bufio.ScanLines(data, atEnd)
}

// stream reads server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), as far as the
// protocol uses them: each event is one line of data, the last one "[DONE]". Alive is called for every line.
func (e Endpoint) stream(in io.Reader, alive func(), yield func(tandem.Chunk) bool) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	lines.Split(wholeLines)
	var finish tandem.FinishReason
	for lines.Scan() {
		alive()
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:"))
		if data = bytes.TrimSpace(data); !ok || len(data) == 0 {
			continue
		}
		if string(data) == "[DONE]" {
			break
		}
		var c completion
		if err := json.Unmarshal(data, &c); err != nil {
			return tandem.Errorf(tandem.Unsupported, op, "the endpoint streams what is not of OpenAI's protocol: %w", err)
		}
		if err := e.failed(c); err != nil {
			return err
		}
		if len(c.Choices) == 0 { // usage, after the last piece
			continue
		}
		choice := c.Choices[0]
		if choice.Delta.Content != "" && !yield(tandem.Chunk{Text: choice.Delta.Content}) {
			return errEnough
		}
		if choice.Finish != "" {
			var err error
			if finish, err = finishOf(choice.Finish); err != nil {
				return err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if finish == "" {
		return io.ErrUnexpectedEOF
	}
	if !yield(tandem.Chunk{Finish: finish}) {
		return errEnough
	}
	return nil
}
