package checkpoint

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"tandem"
)

// WriteTensors writes a safetensors file. Numbers are rounded to dtype, and those that are not finite in
// it are refused by the tensor's name. It stops between pieces when ctx ends.
func WriteTensors(ctx context.Context, w io.Writer, tensors []Tensor, dtype DType, metadata map[string]string) error {
	const op = "checkpoint.WriteTensors"
	text, err := buildHeader(tensors, dtype, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(text)))); err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	size := int(dtypeSizes[dtype])
	buffer := make([]byte, chunkBytes)
	for _, t := range tensors {
		for done := 0; done < len(t.Data); {
			if err := ctx.Err(); err != nil {
				return err
			}
			n := min(len(t.Data)-done, chunkBytes/size)
			if bad := dtype.encode(buffer[:n*size], t.Data[done:done+n]); bad >= 0 {
				x := t.Data[done+bad]
				if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
					return tandem.Errorf(tandem.Invalid, op, "tensor %q holds %v at element %d", t.Name, x, done+bad)
				}
				return tandem.Errorf(tandem.Invalid, op, "tensor %q holds %g at element %d, too large for %s", t.Name, x, done+bad, dtype)
			}
			if _, err := w.Write(buffer[:n*size]); err != nil {
				return err
			}
			done += n
		}
	}
	return nil
}

// buildHeader lays the tensors one after the other and pads the JSON with spaces to a multiple of 8, so
// that readers which map the file find the numbers aligned.
func buildHeader(tensors []Tensor, dtype DType, metadata map[string]string) ([]byte, error) {
	const op = "checkpoint.WriteTensors"
	if !dtype.readable() {
		return nil, tandem.Errorf(tandem.Unsupported, op, "numbers of type %q cannot be written (F32, BF16 and F16 can)", dtype)
	}
	type info struct {
		DType   DType    `json:"dtype"`
		Shape   []int    `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	fields := make(map[string]any, len(tensors)+1) // encoding/json sorts the keys
	if len(metadata) > 0 {
		fields["__metadata__"] = metadata
	}
	var offset int64
	for _, t := range tensors {
		elements := 1
		for _, n := range t.Shape {
			elements *= n
		}
		if elements != len(t.Data) {
			return nil, tandem.Errorf(tandem.Invalid, op, "tensor %q has shape %v and %d numbers", t.Name, t.Shape, len(t.Data))
		}
		if _, twice := fields[t.Name]; twice || t.Name == "__metadata__" {
			return nil, tandem.Errorf(tandem.Invalid, op, "the name %q is used twice or reserved", t.Name)
		}
		end := offset + int64(elements)*dtypeSizes[dtype]
		fields[t.Name] = info{dtype, append([]int{}, t.Shape...), [2]int64{offset, end}}
		offset = end
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	if len(text) > maxHeader {
		return nil, tandem.Errorf(tandem.Invalid, op, "a header of %d bytes is longer than the %d that safetensors allows", len(text), maxHeader)
	}
	return text, nil
}
