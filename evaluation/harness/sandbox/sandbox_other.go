//go:build !linux

package sandbox

import (
	"context"
	"runtime"
	"time"

	"tandem"
)

func supported() error {
	return tandem.Errorf(tandem.Unsupported, op, "code tasks run only in a sandbox, and there is none on %s", runtime.GOOS)
}

func (s *Sandbox) run(context.Context, string) (report, time.Duration, error) {
	return report{}, 0, supported()
}
