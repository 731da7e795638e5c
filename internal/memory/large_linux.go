package memory

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// adviseLarge asks for large pages within the buffer. It is advice: where it is not taken, all works as before.
func adviseLarge(buffer []byte) {
	start := uintptr(unsafe.Pointer(&buffer[0]))
	from := (start+LargePage-1)/LargePage*LargePage - start
	to := (start+uintptr(len(buffer)))/LargePage*LargePage - start
	if from < to && to <= uintptr(len(buffer)) {
		_ = unix.Madvise(buffer[from:to], unix.MADV_HUGEPAGE)
	}
}
