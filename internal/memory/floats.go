package memory

import "unsafe"

// LargePage is the size of x86's and most of ARM's large pages, in bytes.
const LargePage = 2 << 20

// Floats returns n zeros. Where the system lends large pages to who asks (Linux, unless it is told never to), a
// buffer of some megabytes lies on them: a matrix's rows then need a few entries of the processor's page table
// cache instead of hundreds, in a virtual machine at twice the price each.
func Floats(n int) []float32 {
	data := make([]float32, n)
	if n > 0 {
		// Fresh memory has no pages yet: those that its first writes get are large.
		adviseLarge(unsafe.Slice((*byte)(unsafe.Pointer(&data[0])), n*int(unsafe.Sizeof(data[0]))))
	}
	return data
}
