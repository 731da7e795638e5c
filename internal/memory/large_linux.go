package memory

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// largePage is the size of x86's and most of ARM's large pages.
const largePage = 2 << 20

// adviseLarge asks for large pages within the buffer. It is advice: where it is not taken, all works as before.
func adviseLarge(buffer []byte) {
	start := uintptr(unsafe.Pointer(&buffer[0]))
	from := (start+largePage-1)/largePage*largePage - start
	to := (start+uintptr(len(buffer)))/largePage*largePage - start
	if from < to && to <= uintptr(len(buffer)) {
		_ = unix.Madvise(buffer[from:to], unix.MADV_HUGEPAGE)
	}
}
