package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

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
// that has not been written yet: answer yields them in order, each as soon as it is known. The first bad
// line ends the command with "stdin:LINE: …", after the answers to the lines before it.
func eachLine[In, Out any](ctx context.Context, w *world, batch int, answer func(context.Context, []In) iter.Seq2[Out, error]) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := make(chan line, batch)
	go readLines(ctx, w.in, lines) // ends with the input, or at the first send after cancel
	encoder := json.NewEncoder(w.out)
	encoder.SetEscapeHTML(false)

	for open := true; open; {
		var arrived []line
		arrived, open = gather(ctx, lines, batch)
		if err := ctx.Err(); err != nil {
			return err
		}
		requests, numbers := make([]In, 0, len(arrived)), make([]int, 0, len(arrived))
		var bad error
		for _, l := range arrived {
			if bad = l.err; bad != nil {
				break
			}
			var request In
			if err := json.Unmarshal(l.text, &request); err != nil {
				bad = fmt.Errorf("stdin:%d: not the JSON that is expected: %w", l.number, err)
				break
			}
			requests, numbers = append(requests, request), append(numbers, l.number)
		}
		for a, err := range answer(ctx, requests) {
			var at *lineError
			switch {
			case errors.As(err, &at) && at.index < len(numbers):
				return fmt.Errorf("stdin:%d: %w", numbers[at.index], at.err)
			case err != nil:
				return err
			}
			if err := encoder.Encode(a); err != nil {
				return fmt.Errorf("write stdout: %w", err)
			}
		}
		if bad != nil {
			return bad
		}
	}
	return nil
}

// lineError says which request of a batch is wrong.
type lineError struct {
	index int
	err   error
}

func (e *lineError) Error() string { return e.err.Error() }
func (e *lineError) Unwrap() error { return e.err }

// answerEach answers requests one by one, for work that gains nothing from a batch.
func answerEach[In, Out any](answer func(context.Context, In) (Out, error)) func(context.Context, []In) iter.Seq2[Out, error] {
	return func(ctx context.Context, requests []In) iter.Seq2[Out, error] {
		return func(yield func(Out, error) bool) {
			for i, request := range requests {
				a, err := answer(ctx, request)
				if err != nil {
					err = &lineError{i, err}
				}
				if !yield(a, err) || err != nil {
					return
				}
			}
		}
	}
}

// answerBatch prepares requests one by one and answers them together. Those before the first that cannot
// be prepared are answered before its error is said.
func answerBatch[In, Prepared, Out any](
	prepare func(context.Context, In) (Prepared, error), answer func(context.Context, []Prepared) iter.Seq2[Out, error],
) func(context.Context, []In) iter.Seq2[Out, error] {
	return func(ctx context.Context, requests []In) iter.Seq2[Out, error] {
		return func(yield func(Out, error) bool) {
			prepared := make([]Prepared, 0, len(requests))
			var bad error
			for i, request := range requests {
				p, err := prepare(ctx, request)
				if err != nil {
					bad = &lineError{i, err}
					break
				}
				prepared = append(prepared, p)
			}
			if len(prepared) > 0 {
				for a, err := range answer(ctx, prepared) {
					if !yield(a, err) || err != nil {
						return
					}
				}
			}
			if bad != nil {
				var none Out
				yield(none, bad)
			}
		}
	}
}

// whole makes an iterator of answers that are all known at once.
func whole[Prepared, Out any](answer func(context.Context, []Prepared) ([]Out, error)) func(context.Context, []Prepared) iter.Seq2[Out, error] {
	return func(ctx context.Context, requests []Prepared) iter.Seq2[Out, error] {
		return func(yield func(Out, error) bool) {
			answers, err := answer(ctx, requests)
			if err != nil {
				var none Out
				yield(none, err)
				return
			}
			for _, a := range answers {
				if !yield(a, nil) {
					return
				}
			}
		}
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
