package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"tandem"
)

// maxLine bounds one line of input, in bytes.
const maxLine = 16 << 20

// line is one line of input, or what ended the input.
type line struct {
	number int
	text   []byte
	err    error
}

// eachLine turns JSON lines into JSON lines, an output line for an input line in the same order. Lines
// that have arrived are handed over together, up to batch of them, and an answer never waits for a line
// that has not been written yet. The first bad line ends the command with "stdin:LINE: …", after the
// answers to the lines before it.
func eachLine[In, Out any](ctx context.Context, w *world, batch int, answer func(context.Context, []In) ([]Out, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := make(chan line, batch)
	go readLines(ctx, w.in, lines) // ends with the input, or at the first send after cancel
	out := bufio.NewWriter(w.out)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)

	for open := true; open; {
		var batchLines []line
		batchLines, open = gather(ctx, lines, batch)
		if err := ctx.Err(); err != nil {
			return err
		}
		requests, numbers := make([]In, 0, len(batchLines)), make([]int, 0, len(batchLines))
		var bad error
		for _, l := range batchLines {
			if l.err != nil {
				bad = l.err
				break
			}
			var request In
			if err := json.Unmarshal(l.text, &request); err != nil {
				bad = fmt.Errorf("stdin:%d: not the JSON that is expected: %w", l.number, err)
				break
			}
			requests, numbers = append(requests, request), append(numbers, l.number)
		}
		answers, err := answer(ctx, requests)
		for _, a := range answers {
			if err := encoder.Encode(a); err != nil {
				return fmt.Errorf("write stdout: %w", err)
			}
		}
		if flushErr := out.Flush(); flushErr != nil {
			return fmt.Errorf("write stdout: %w", flushErr)
		}
		var at *lineError
		switch {
		case errors.As(err, &at) && at.index < len(numbers):
			return fmt.Errorf("stdin:%d: %w", numbers[at.index], at.err)
		case err != nil:
			return err
		case bad != nil:
			return bad
		}
	}
	return nil
}

// lineError says which request of a batch is wrong; answers holds those before it.
type lineError struct {
	index int
	err   error
}

func (e *lineError) Error() string { return e.err.Error() }
func (e *lineError) Unwrap() error { return e.err }

// answerEach answers requests one by one, for work that gains nothing from a batch.
func answerEach[In, Out any](answer func(context.Context, In) (Out, error)) func(context.Context, []In) ([]Out, error) {
	return func(ctx context.Context, requests []In) ([]Out, error) {
		answers := make([]Out, 0, len(requests))
		for i, request := range requests {
			a, err := answer(ctx, request)
			if err != nil {
				return answers, &lineError{i, err}
			}
			answers = append(answers, a)
		}
		return answers, nil
	}
}

// gather waits for one line and takes those that have arrived behind it.
func gather(ctx context.Context, lines <-chan line, most int) (got []line, open bool) {
	select {
	case <-ctx.Done():
		return nil, false
	case l, ok := <-lines:
		if !ok {
			return nil, false
		}
		got = append(got, l)
	}
	for len(got) < most {
		select {
		case l, ok := <-lines:
			if !ok {
				return got, false
			}
			got = append(got, l)
		default:
			return got, true
		}
	}
	return got, true
}

// readLines sends the lines of in that are not blank, then closes lines. An error ends it as the last line.
func readLines(ctx context.Context, in io.Reader, lines chan<- line) {
	defer close(lines)
	send := func(l line) bool {
		select {
		case lines <- l:
			return true
		case <-ctx.Done():
			return false
		}
	}
	scanner := bufio.NewScanner(in)
	scanner.Buffer(make([]byte, 64<<10), maxLine)
	number := 0
	for scanner.Scan() {
		number++
		text := bytes.TrimSpace(scanner.Bytes())
		if len(text) == 0 {
			continue
		}
		if !send(line{number: number, text: bytes.Clone(text)}) {
			return
		}
	}
	if err := scanner.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = tandem.Errorf(tandem.Invalid, "", "stdin:%d: the line is longer than %d bytes", number+1, maxLine)
		} else {
			err = fmt.Errorf("stdin:%d: %w", number+1, err)
		}
		send(line{number: number + 1, err: err})
	}
}
