package checkpoint

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tandem"
)

// file lays a header's JSON before data bytes.
func file(header string, data int) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(out, header...), make([]byte, data)...)
}

// TestReadTensorsRefuses feeds every kind of bad file; the message names the file, and the tensor if
// there is one to blame.
func TestReadTensorsRefuses(t *testing.T) {
	nan := file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8)
	binary.LittleEndian.PutUint32(nan[len(nan)-4:], math.Float32bits(float32(math.NaN())))
	inf := file(`{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}`, 4)
	binary.LittleEndian.PutUint16(inf[len(inf)-2:], 0xfc00)
	huge := binary.LittleEndian.AppendUint64(nil, maxHeader+1)
	overflow := binary.LittleEndian.AppendUint64(nil, math.MaxUint64)
	for name, test := range map[string]struct {
		file []byte
		code tandem.Code
		says string
	}{
		"empty":            {nil, tandem.Corrupt, "is empty"},
		"five bytes":       {[]byte("abcde"), tandem.Corrupt, "truncated"},
		"no header":        {make([]byte, 8), tandem.Corrupt, "not a JSON object"},
		"huge header":      {append(huge, make([]byte, 100)...), tandem.Corrupt, "longer than"},
		"overflow":         {append(overflow, make([]byte, 100)...), tandem.Corrupt, "longer than"},
		"header past end":  {file("{}", 0)[:9], tandem.Corrupt, "truncated"},
		"not json":         {file("PK\x03\x04", 0), tandem.Corrupt, "not a JSON object"},
		"array":            {file("[]", 0), tandem.Corrupt, "not a JSON object"},
		"unclosed":         {file(`{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}`, 4), tandem.Corrupt, "malformed"},
		"two objects":      {file(`{}{}`, 0), tandem.Corrupt, "goes on"},
		"twice":            {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), tandem.Corrupt, `"a" twice`},
		"entry":            {file(`{"a":3}`, 0), tandem.Corrupt, `"a" is malformed`},
		"fraction":         {file(`{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,6]}}`, 6), tandem.Corrupt, `"a" is malformed`},
		"metadata":         {file(`{"__metadata__":{"a":1}}`, 0), tandem.Corrupt, "malformed"},
		"no offsets":       {file(`{"a":{"dtype":"F32","shape":[1]}}`, 4), tandem.Corrupt, `"a" has no pair`},
		"three offsets":    {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}`, 8), tandem.Corrupt, `"a" has no pair`},
		"no shape":         {file(`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, 4), tandem.Corrupt, `"a" has no shape`},
		"null shape":       {file(`{"a":{"dtype":"F32","shape":null,"data_offsets":[0,4]}}`, 4), tandem.Corrupt, `"a" has no shape`},
		"backwards":        {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, 4), tandem.Corrupt, `"a" has the impossible offsets`},
		"negative offset":  {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}`, 4), tandem.Corrupt, `"a" has the impossible offsets`},
		"overlap":          {file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12), tandem.Corrupt, `"b" overlaps`},
		"same bytes":       {file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8), tandem.Corrupt, `"b" overlaps`},
		"gap":              {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), tandem.Corrupt, `"a" leaves a gap`},
		"truncated data":   {file(`{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}`, 12), tandem.Corrupt, "truncated"},
		"bytes left":       {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 5), tandem.Corrupt, "belong to none"},
		"size of shape":    {file(`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, 8), tandem.Corrupt, `"a" has 8 bytes`},
		"negative shape":   {file(`{"a":{"dtype":"F32","shape":[-1,-1],"data_offsets":[0,4]}}`, 4), tandem.Corrupt, `"a" has the impossible shape`},
		"shape overflows":  {file(`{"a":{"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}}`, 0), tandem.Corrupt, `"a" has the impossible shape`},
		"unknown dtype":    {file(`{"a":{"dtype":"Q4","shape":[1],"data_offsets":[0,4]}}`, 4), tandem.Unsupported, `"a" has the unknown dtype "Q4"`},
		"integers":         {file(`{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}`, 8), tandem.Unsupported, `"a" holds numbers of type I64`},
		"not a number":     {nan, tandem.Invalid, `"a" holds NaN at element 1`},
		"infinity in half": {inf, tandem.Invalid, `"a" holds -Inf at element 1`},
	} {
		_, _, err := ReadTensors(bytes.NewReader(test.file), int64(len(test.file)), "x.safetensors")
		if tandem.CodeOf(err) != test.code || !strings.Contains(err.Error(), "x.safetensors") || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %s … %q", name, err, test.code, test.says)
		}
	}
}

func TestTensorsRoundTrip(t *testing.T) {
	want := []Tensor{
		{"z", []int{2, 3}, []float32{1, -2, 0.5, 65504, -1.0 / (1 << 24), 0}},
		{"scalar", []int{}, []float32{3}},
		{"none", []int{0, 4}, []float32{}},
	}
	for _, dtype := range []DType{F32, F16} {
		var b bytes.Buffer
		if err := WriteTensors(context.Background(), &b, want, dtype, map[string]string{"format": "pt"}); err != nil {
			t.Fatal(err)
		}
		if n := binary.LittleEndian.Uint64(b.Bytes()); n%8 != 0 {
			t.Errorf("a header of %d bytes leaves the numbers unaligned", n)
		}
		got, metadata, err := ReadTensors(&b, int64(b.Len()), "")
		if err != nil || metadata["format"] != "pt" {
			t.Fatal(metadata, err)
		}
		// A tensor of no bytes sorts before the one that begins at the same offset.
		for _, w := range want {
			i := slices.IndexFunc(got, func(g Tensor) bool { return g.Name == w.Name })
			if i < 0 || !slices.Equal(got[i].Shape, w.Shape) || !slices.Equal(got[i].Data, w.Data) {
				t.Errorf("%s: %+v, want %+v", dtype, got, w)
			}
		}
	}
	for says, bad := range map[string][]Tensor{
		`"a" holds NaN`:          {{"a", []int{1}, []float32{float32(math.NaN())}}},
		`"a" holds 70000`:        {{"a", []int{1}, []float32{70000}}},
		`"a" has shape [2]`:      {{"a", []int{2}, []float32{1}}},
		`"a" is used twice`:      {{"a", []int{1}, []float32{1}}, {"a", []int{1}, []float32{1}}},
		`"__metadata__" is used`: {{"__metadata__", []int{1}, []float32{1}}},
	} {
		if err := WriteTensors(context.Background(), &bytes.Buffer{}, bad, F16, nil); tandem.CodeOf(err) != tandem.Invalid || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
}

// TestHalf goes through every 16-bit number, and rounds between neighbours.
func TestHalf(t *testing.T) {
	for bits := range 1 << 16 {
		h := uint16(bits)
		if h&0x7c00 != 0x7c00 { // finite in binary16
			if got := singleToHalf(halfToSingle(h)); got != h {
				t.Fatalf("binary16 %#04x became %#04x", h, got)
			}
		}
	}
	for _, test := range []struct {
		x    float32
		want uint16
	}{
		{1, 0x3c00}, {-2, 0xc000}, {65504, 0x7bff}, {65519, 0x7bff}, {65520, 0x7c00}, {1e-8, 0}, {0x1p-24, 1}, {0x1p-25, 0}, {0x1.8p-24, 2},
		{0x1.002p0, 0x3c00}, {0x1.006p0, 0x3c02}, {0x1.ff8p-15, 0x3ff}, {0x1.ffcp-15, 0x400}, {float32(math.Inf(-1)), 0xfc00},
	} {
		if got := singleToHalf(math.Float32bits(test.x)); got != test.want {
			t.Errorf("binary16 of %g is %#04x, want %#04x", test.x, got, test.want)
		}
	}
	if h := singleToHalf(math.Float32bits(float32(math.NaN()))); h&0x7c00 != 0x7c00 || h&0x3ff == 0 {
		t.Errorf("binary16 of NaN is %#04x", h)
	}
	// bfloat16: the nearest of the two neighbours, the even one in the middle.
	rng := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		x := float32(rng.NormFloat64())
		var b [2]byte
		if BF16.encode(b[:], []float32{x}) >= 0 {
			t.Fatal(x)
		}
		var got [1]float32
		BF16.decode(got[:], b[:])
		below := math.Float32frombits(math.Float32bits(x) &^ 0xffff)
		above := math.Float32frombits(math.Float32bits(x)&^0xffff + 0x10000)
		if d := math.Abs(float64(got[0] - x)); d > math.Abs(float64(below-x)) || d > math.Abs(float64(above-x)) {
			t.Fatalf("bfloat16 of %g is %g", x, got[0])
		}
	}
	if bad := BF16.encode(make([]byte, 2), []float32{math.MaxFloat32}); bad != 0 {
		t.Error("a number that bfloat16 rounds to infinity was accepted")
	}
}

// FuzzReadTensors: whatever is accepted survives being written and read again, and no file makes memory
// grow beyond a multiple of its size.
func FuzzReadTensors(f *testing.F) {
	f.Add(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, []byte("12345678"))
	f.Add(`{"__metadata__":{"format":"pt"},"a":{"dtype":"BF16","shape":[],"data_offsets":[0,2]},"b":{"dtype":"F16","shape":[1,1],"data_offsets":[2,4]}}`, []byte("1234"))
	f.Add(`{"a":{"dtype":"F64","shape":[0],"data_offsets":[0,0]}}   `, []byte{})
	f.Fuzz(func(t *testing.T, header string, data []byte) {
		text := append(file(header, 0), data...)
		tensors, metadata, err := ReadTensors(bytes.NewReader(text), int64(len(text)), "x")
		if err != nil {
			if code := tandem.CodeOf(err); code == tandem.Internal || code == tandem.Unavailable {
				t.Fatalf("%q: %v", header, err)
			}
			return
		}
		var b bytes.Buffer
		if err := WriteTensors(context.Background(), &b, tensors, F32, metadata); err != nil {
			t.Fatal(err)
		}
		again, _, err := ReadTensors(&b, int64(b.Len()), "x")
		if err != nil || len(again) != len(tensors) {
			t.Fatal(err)
		}
		for i := range tensors {
			a, _ := json.Marshal(tensors[i])
			if b, _ := json.Marshal(again[i]); !bytes.Equal(a, b) {
				t.Fatalf("%s became %s", a, b)
			}
		}
	})
}

func TestParseDType(t *testing.T) {
	for name, want := range map[string]DType{"": F32, "float32": F32, "bfloat16": BF16, "BF16": BF16, "half": F16, "int8": ""} {
		got, err := ParseDType(name)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
}
