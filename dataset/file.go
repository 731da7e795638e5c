package dataset

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"os"
	"unicode/utf8"

	"tandem"
)

// DefaultMaxLine is the longest line that readers accept, in bytes.
const DefaultMaxLine = 16 << 20

// File is an open data file whose content is decompressed as it is read.
type File struct {
	name   string
	reader io.Reader // decompressed
	raw    io.Reader // the file as it is, hashed as it is read
	hash   hash.Hash
	file   *os.File
}

// Open opens a data file; gzip is recognised by its first bytes, whatever the file is called.
func Open(name string) (*File, error) {
	const op = "dataset.Open"
	file, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, tandem.Errorf(tandem.NotFound, op, "%s: no such file", name)
	}
	if err != nil {
		return nil, tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	sum := sha256.New()
	buffered := bufio.NewReaderSize(io.TeeReader(file, sum), 1<<16)
	f := &File{name: name, reader: buffered, raw: buffered, hash: sum, file: file}
	if magic, _ := buffered.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		if f.reader, err = gzip.NewReader(buffered); err != nil {
			file.Close()
			return nil, tandem.Errorf(tandem.Corrupt, op, "%s: not a whole gzip file: %w", name, err)
		}
	}
	return f, nil
}

// Name is the name that the file was opened by.
func (f *File) Name() string { return f.name }

// Read reads decompressed bytes.
func (f *File) Read(p []byte) (int, error) { return f.reader.Read(p) }

// Sum reads what is left and returns the SHA-256 of the file as it lies on the disk.
func (f *File) Sum() ([sha256.Size]byte, error) {
	if _, err := io.Copy(io.Discard, f.raw); err != nil {
		return [sha256.Size]byte{}, tandem.Errorf(tandem.Corrupt, "dataset.Sum", "%s: %w", f.name, err)
	}
	return [sha256.Size]byte(f.hash.Sum(nil)), nil
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

// line is one line of a file, without its end. The bytes are valid until the next one is asked for.
type line struct {
	number int // from 1
	bytes  []byte
}

// lines yields the lines of r, blank ones too. name stands in errors; a line longer than limit bytes, a
// stream that breaks off and bytes that are not UTF-8 are errors.
func lines(name string, r io.Reader, limit int) iter.Seq2[line, error] {
	if limit <= 0 {
		limit = DefaultMaxLine
	}
	return func(yield func(line, error) bool) {
		buffered := bufio.NewReaderSize(r, 1<<16)
		var long []byte
		for number := 1; ; number++ {
			long = long[:0]
			piece, err := buffered.ReadSlice('\n')
			for errors.Is(err, bufio.ErrBufferFull) && len(long)+len(piece) <= limit {
				long = append(long, piece...)
				piece, err = buffered.ReadSlice('\n')
			}
			if len(long) > 0 {
				long = append(long, piece...)
				piece = long
			}
			switch {
			case len(piece) > limit || errors.Is(err, bufio.ErrBufferFull):
				yield(line{}, at(name, number, "the line is longer than %d bytes", limit))
				return
			case err != nil && err != io.EOF:
				yield(line{}, tandem.Errorf(tandem.Corrupt, "", "%s:%d: the file breaks off: %w", name, number, err))
				return
			case err == io.EOF && len(piece) == 0:
				return
			}
			piece = bytes.TrimSuffix(bytes.TrimSuffix(piece, []byte("\n")), []byte("\r"))
			if number == 1 {
				piece = bytes.TrimPrefix(piece, []byte("\xef\xbb\xbf"))
			}
			if !utf8.Valid(piece) {
				yield(line{}, at(name, number, "the line is not UTF-8"))
				return
			}
			if !yield(line{number, piece}, nil) || err == io.EOF {
				return
			}
		}
	}
}

// records decodes the non-blank lines of a JSON Lines stream, each into a fresh T. A stream without a
// single record is an error: it is more often a failed download than an empty set.
func records[T any](name string, r io.Reader, limit int) iter.Seq2[record[T], error] {
	return func(yield func(record[T], error) bool) {
		read := 0
		for l, err := range lines(name, r, limit) {
			if err != nil {
				yield(record[T]{}, err)
				return
			}
			if len(bytes.TrimSpace(l.bytes)) == 0 {
				continue
			}
			rec := record[T]{name: name, line: l.number}
			if err := json.Unmarshal(l.bytes, &rec.value); err != nil {
				yield(record[T]{}, at(name, l.number, "%w", err))
				return
			}
			read++
			if !yield(rec, nil) {
				return
			}
		}
		if read == 0 {
			yield(record[T]{}, tandem.Errorf(tandem.Invalid, "", "%s: there are no records in it", name))
		}
	}
}

// record is one decoded line with its place.
type record[T any] struct {
	name  string
	line  int
	value T
}

func (r record[T]) errorf(format string, args ...any) error {
	return at(r.name, r.line, format, args...)
}

// at is an error in one line of a file: "pairs.jsonl:17: …".
func at(name string, number int, format string, args ...any) error {
	return tandem.Errorf(tandem.Invalid, "", "%s:%d: %w", name, number, fmt.Errorf(format, args...))
}
