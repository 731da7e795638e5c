package checkpoint

import (
	"encoding/binary"
	"math"

	"tandem"
)

// DType is how a tensor's numbers lie on disk. In memory they are float32.
type DType string

const (
	F32  DType = "F32"
	BF16 DType = "BF16" // the upper half of a float32
	F16  DType = "F16"  // IEEE 754 binary16
)

// dtypeSizes are the bytes of a number in every dtype that a safetensors header may name, so that a file
// with a tensor which is never read can still be checked.
var dtypeSizes = map[DType]int64{
	"BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1,
	"I16": 2, "U16": 2, F16: 2, BF16: 2,
	"I32": 4, "U32": 4, F32: 4,
	"I64": 8, "U64": 8, "F64": 8,
}

// readable reports whether tandem reads numbers of this dtype.
func (t DType) readable() bool { return t == F32 || t == BF16 || t == F16 }

// torch is the name of t in config.json.
func (t DType) torch() string {
	switch t {
	case BF16:
		return "bfloat16"
	case F16:
		return "float16"
	}
	return "float32"
}

// decode turns little-endian numbers into float32 and returns the index of the first NaN or infinity,
// or -1. len(src) is len(dst) times the size of a number.
func (t DType) decode(dst []float32, src []byte) int {
	switch t {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
		}
	case F16:
		for i := range dst {
			dst[i] = math.Float32frombits(halfToSingle(binary.LittleEndian.Uint16(src[2*i:])))
		}
	}
	return firstNotFinite(dst)
}

// firstNotFinite is the index of the first NaN or infinity in x, or -1.
func firstNotFinite(x []float32) int {
	for i, v := range x {
		if math.Float32bits(v)&0x7f800000 == 0x7f800000 {
			return i
		}
	}
	return -1
}

// encode turns float32 into little-endian numbers, rounding to nearest even, and returns the index of
// the first that is not finite in t, or -1. len(dst) is len(src) times the size of a number.
func (t DType) encode(dst []byte, src []float32) int {
	switch t {
	case F32:
		for i, x := range src {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(x))
		}
	case BF16:
		for i, x := range src {
			bits := math.Float32bits(x)
			half := uint16((bits + 0x7fff + bits>>16&1) >> 16)
			if half&0x7f80 == 0x7f80 || bits&0x7f800000 == 0x7f800000 {
				return i
			}
			binary.LittleEndian.PutUint16(dst[2*i:], half)
		}
		return -1
	case F16:
		for i, x := range src {
			half := singleToHalf(math.Float32bits(x))
			if half&0x7c00 == 0x7c00 {
				return i
			}
			binary.LittleEndian.PutUint16(dst[2*i:], half)
		}
		return -1
	}
	return firstNotFinite(src)
}

// halfToSingle widens binary16 to binary32; every binary16 number has an exact counterpart.
func halfToSingle(h uint16) uint32 {
	sign := uint32(h&0x8000) << 16
	exponent, fraction := uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch exponent {
	case 0: // zero and subnormals: fraction · 2⁻²⁴
		return sign | math.Float32bits(float32(fraction)*(1.0/(1<<24)))
	case 0x1f:
		return sign | 0x7f800000 | fraction<<13
	}
	return sign | (exponent+127-15)<<23 | fraction<<13
}

// singleToHalf narrows binary32 to binary16, rounding to nearest even; what is too large becomes infinite.
func singleToHalf(bits uint32) uint16 {
	sign := uint16(bits >> 16 & 0x8000)
	magnitude := bits & 0x7fffffff
	switch {
	case magnitude > 0x7f800000: // NaN
		return sign | 0x7e00
	case magnitude >= 0x477ff000: // rounds to 2¹⁶ or more
		return sign | 0x7c00
	case magnitude < 0x38800000: // below 2⁻¹⁴: a multiple of 2⁻²⁴
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(magnitude))*(1<<24)))
	}
	return sign | uint16((magnitude-(127-15)<<23+0xfff+magnitude>>13&1)>>13)
}

// ParseDType reads a type of number by its safetensors or torch name, as flags and configurations spell
// it. Empty is F32.
func ParseDType(name string) (DType, error) {
	switch name {
	case "", "F32", "float32", "float":
		return F32, nil
	case "BF16", "bfloat16":
		return BF16, nil
	case "F16", "float16", "half":
		return F16, nil
	}
	return "", tandem.Errorf(tandem.Unsupported, "checkpoint.ParseDType", "numbers of type %q are not supported (float32, bfloat16 and float16 are)", name)
}
