package nn

import (
	"fmt"
	"runtime"

	"tandem"
)

// Guard calls f and turns a panic in it, Gorgonia's or an op constructor's, into an error. It is the one
// place where panics become errors. What was not raised as a tandem.Error is reported as tandem.Internal.
func Guard(f func() error) (err error) {
	const op = "llama/nn"
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *tandem.Error:
			err = p
		case runtime.Error:
			err = tandem.Errorf(tandem.Internal, op, "%w", error(p))
		case error:
			err = tandem.Errorf(tandem.Internal, op, "%w", p)
		default:
			err = tandem.Errorf(tandem.Internal, op, "%s", fmt.Sprint(p))
		}
	}()
	return f()
}
