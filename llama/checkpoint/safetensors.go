package checkpoint

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"tandem"
)

// The safetensors format (https://github.com/huggingface/safetensors#format): eight bytes of header
// length n, little-endian; n bytes of JSON {name: {"dtype", "shape", "data_offsets": [begin, end]}} with
// an optional "__metadata__" of strings; then the tensors' bytes, which cover the rest without gaps.

// maxHeader is the longest header that the format's reference implementation accepts, in bytes.
const maxHeader = 100_000_000

// chunkBytes is how much of a tensor is converted at a time.
const chunkBytes = 1 << 18

// Tensor is a named array of numbers in row order.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32
}

// entry is one tensor in a header: where its bytes lie, counted from the header's end.
type entry struct {
	name       string
	dtype      DType
	shape      []int
	begin, end int64
}

func (e entry) elements() int { return int((e.end - e.begin) / dtypeSizes[e.dtype]) }

// header is a parsed header, its tensors in the order of their bytes.
type header struct {
	entries  []entry
	metadata map[string]string
}

// ReadTensors reads every tensor of a safetensors file of size bytes, in the order in which they lie in
// it, and the file's metadata. Numbers must be F32, BF16 or F16, and finite. Where names the file in errors.
func ReadTensors(r io.Reader, size int64, where string) ([]Tensor, map[string]string, error) {
	h, err := readHeader(r, size, where)
	if err != nil {
		return nil, nil, err
	}
	var tensors []Tensor
	err = h.read(r, where, func(e entry) ([]float32, error) {
		t := Tensor{Name: e.name, Shape: e.shape, Data: make([]float32, e.elements())}
		tensors = append(tensors, t)
		return t.Data, nil
	})
	if err != nil {
		return nil, nil, err
	}
	return tensors, h.metadata, nil
}

// readHeader reads and checks the header of a file of size bytes.
func readHeader(r io.Reader, size int64, where string) (*header, error) {
	const op = "checkpoint.readHeader"
	corrupt := func(format string, args ...any) error {
		return tandem.Errorf(tandem.Corrupt, op, where+": "+format, args...)
	}
	if size == 0 {
		return nil, corrupt("the file is empty")
	}
	var length [8]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, truncated(op, where, err)
	}
	n := binary.LittleEndian.Uint64(length[:])
	switch {
	case n > maxHeader:
		return nil, corrupt("a header of %d bytes is longer than the %d that safetensors allows", n, maxHeader)
	case int64(n) > size-8:
		return nil, corrupt("the file is truncated: its header has %d bytes, the file %d", n, size)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, truncated(op, where, err)
	}
	h, err := parseHeader(text)
	if err != nil {
		return nil, corrupt("%w", err)
	}
	var end int64
	for _, e := range h.entries {
		if code, fault := e.check(end); fault != "" {
			return nil, tandem.Errorf(code, op, "%s: tensor %s %s", where, quote(e.name), fault)
		}
		end = e.end
	}
	if data := size - 8 - int64(n); end > data {
		return nil, corrupt("the file is truncated: its tensors need %d bytes after the header, it has %d", end, data)
	} else if end < data {
		return nil, corrupt("%d bytes after the last tensor belong to none", data-end)
	}
	return h, nil
}

// parseHeader decodes a header's JSON, refusing names that come twice, and sorts the tensors by offset.
func parseHeader(text []byte) (*header, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("the header is not a JSON object")
	}
	h := &header{}
	seen := make(map[string]bool)
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, malformed(err)
		}
		name := t.(string) // the decoder yields nothing else in a key's place
		if seen[name] {
			return nil, fmt.Errorf("the header names tensor %s twice", quote(name))
		}
		seen[name] = true
		if name == "__metadata__" {
			if err := d.Decode(&h.metadata); err != nil {
				return nil, malformed(err)
			}
			continue
		}
		var info struct {
			DType   DType   `json:"dtype"`
			Shape   []int   `json:"shape"`
			Offsets []int64 `json:"data_offsets"`
		}
		if err := d.Decode(&info); err != nil {
			return nil, fmt.Errorf("the header's entry of tensor %s is malformed: %w", quote(name), err)
		}
		if len(info.Offsets) != 2 {
			return nil, fmt.Errorf("tensor %s has no pair of data_offsets", quote(name))
		}
		if info.Shape == nil { // a scalar's is []
			return nil, fmt.Errorf("tensor %s has no shape", quote(name))
		}
		h.entries = append(h.entries, entry{name, info.DType, info.Shape, info.Offsets[0], info.Offsets[1]})
	}
	if _, err := d.Token(); err != nil { // the closing brace
		return nil, malformed(err)
	}
	if rest := bytes.TrimSpace(text[d.InputOffset():]); len(rest) > 0 {
		return nil, errors.New("the header goes on after its JSON object")
	}
	slices.SortFunc(h.entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end), cmp.Compare(a.name, b.name))
	})
	return h, nil
}

// check says what is wrong with an entry, whose bytes must begin where those of the one before it end:
// "" if nothing is.
func (e entry) check(last int64) (code tandem.Code, fault string) {
	size, known := dtypeSizes[e.dtype]
	if !known {
		return tandem.Unsupported, fmt.Sprintf("has the unknown dtype %q", e.dtype)
	}
	need := size
	for _, n := range e.shape {
		if n < 0 || n > 0 && need > math.MaxInt64/int64(n) {
			return tandem.Corrupt, fmt.Sprintf("has the impossible shape %v", e.shape)
		}
		need *= int64(n)
	}
	switch {
	case e.begin < 0 || e.end < e.begin:
		fault = fmt.Sprintf("has the impossible offsets %d to %d", e.begin, e.end)
	case e.begin < last:
		fault = fmt.Sprintf("overlaps another: it begins at byte %d, before byte %d", e.begin, last)
	case e.begin > last:
		fault = fmt.Sprintf("leaves a gap: it begins at byte %d, the one before it ends at %d", e.begin, last)
	case e.end-e.begin != need:
		fault = fmt.Sprintf("has %d bytes, while shape %v of %s needs %d", e.end-e.begin, e.shape, e.dtype, need)
	}
	return tandem.Corrupt, fault
}

// read goes through the tensors in the order of their bytes. For each it asks into for the slice to
// fill; nil skips the tensor. r stands just behind the header.
func (h *header) read(r io.Reader, where string, into func(entry) ([]float32, error)) error {
	const op = "checkpoint.read"
	buffer := make([]byte, chunkBytes)
	for _, e := range h.entries {
		dst, err := into(e)
		if err != nil {
			return err
		}
		if dst == nil {
			if _, err := io.CopyN(io.Discard, r, e.end-e.begin); err != nil {
				return truncated(op, where, err)
			}
			continue
		}
		if !e.dtype.readable() {
			return tandem.Errorf(tandem.Unsupported, op, "%s: tensor %q holds numbers of type %s (F32, BF16 and F16 are supported)", where, e.name, e.dtype)
		}
		if len(dst) != e.elements() {
			return tandem.Errorf(tandem.Invalid, op, "%s: tensor %q has shape %v, not the %d numbers expected", where, e.name, e.shape, len(dst))
		}
		size := int(dtypeSizes[e.dtype])
		for done := 0; done < len(dst); {
			n := min(len(dst)-done, chunkBytes/size)
			if _, err := io.ReadFull(r, buffer[:n*size]); err != nil {
				return truncated(op, where, err)
			}
			if bad := e.dtype.decode(dst[done:done+n], buffer[:n*size]); bad >= 0 {
				return tandem.Errorf(tandem.Invalid, op, "%s: tensor %q holds %v at element %d", where, e.name, dst[done+bad], done+bad)
			}
			done += n
		}
	}
	return nil
}

// truncated names the file in an error of reading it.
func truncated(op, where string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return tandem.Errorf(tandem.Corrupt, op, "%s: the file is truncated", where)
	}
	return tandem.Errorf(tandem.Unavailable, op, "reading %s: %w", where, err)
}

func malformed(err error) error { return fmt.Errorf("the header is malformed: %w", err) }

// quote shortens and quotes a name from an untrusted file.
func quote(name string) string {
	if len(name) > 200 {
		name = name[:200] + "…"
	}
	b, _ := json.Marshal(name)
	return string(b)
}
