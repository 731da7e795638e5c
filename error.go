package tandem

import (
	"errors"
	"fmt"
	"strings"
)

// Code classifies an error for whoever has to react to it. HTTP statuses, exit codes and SQLSTATEs are
// each mapped to and from codes in one place.
type Code string

const (
	Invalid      Code = "invalid"      // the input is wrong; trying again will not help
	Unauthorized Code = "unauthorized" // who is asking is not known
	Forbidden    Code = "forbidden"    // who is asking is known and may not
	NotFound     Code = "not_found"    // the named thing does not exist
	Conflict     Code = "conflict"     // the thing exists in a state that contradicts the request
	Stale        Code = "stale"        // the request was made against an older revision or a lost lease
	Unsupported  Code = "unsupported"  // a model or file asks for something that tandem does not do
	Corrupt      Code = "corrupt"      // stored bytes are not what they were when written
	Unavailable  Code = "unavailable"  // a database, disk or service is away; trying again may help
	Internal     Code = "internal"     // a fault of tandem's own
)

// Error is a failure with a code, the operation that failed, a sentence that names the thing, and the cause.
type Error struct {
	Code    Code
	Op      string // "store.ClaimSlot", "llama.ParseConfig"; empty where the caller adds nothing
	Message string // for people; names the file, field or row
	Err     error  // the cause, or nil
}

// Errorf makes an Error whose message is formatted. A %w verb records the cause.
func Errorf(code Code, op, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Op: op, Message: err.Error(), Err: errors.Unwrap(err)}
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Op != "" {
		b.WriteString(e.Op)
		b.WriteString(": ")
	}
	b.WriteString(e.Message)
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the outermost Error in err's chain: Internal if there is none, "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}
