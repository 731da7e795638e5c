package web

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"tandem"
)

// The parameters of argon2id: RFC 9106's second recommendation, 64 MiB a hash, with two lanes instead of four. (OWASP asks
// for 19 MiB at least.)
const (
	argonMemory  = 64 << 10 // KiB
	argonTime    = 3
	argonThreads = 2
	argonSalt    = 16
	argonKey     = 32
)

// Passwords are of so many characters. The shortest is NIST's (SP 800-63B, section 5.1.1.2); no other rules.
const (
	leastPassword = 8
	mostPassword  = 256
)

// hashesAtOnce is how many passwords are hashed at a time, and hashesWaiting how many more may wait: each
// costs 64 MiB and a tenth of a second, which nobody may make the server spend without end.
const (
	hashesAtOnce  = 2
	hashesWaiting = 32
)

// hasher hashes passwords, a few at a time.
type hasher struct {
	waiting chan struct{} // room for those who wait and those who are served
	serving chan struct{}
	dummy   string // what no password has, and costs as much to compare with
	compare func(password, encoded string) (bool, error)
}

func newHasher() *hasher {
	h := &hasher{waiting: make(chan struct{}, hashesAtOnce+hashesWaiting), serving: make(chan struct{}, hashesAtOnce), compare: matches}
	h.dummy = encode(random(argonSalt), random(argonKey))
	return h
}

// take waits for a turn. Errors: Unavailable when too many wait already, the context's.
func (h *hasher) take(ctx context.Context) (release func(), err error) {
	select {
	case h.waiting <- struct{}{}:
	default:
		return nil, tandem.Errorf(tandem.Unavailable, "web.password", "too many people sign in at this moment")
	}
	select {
	case h.serving <- struct{}{}:
		return func() { <-h.serving; <-h.waiting }, nil
	case <-ctx.Done():
		<-h.waiting
		return nil, ctx.Err()
	}
}

// hash makes the PHC string of a new password. Errors: Invalid for one that is too short or too long,
// Unavailable when too many wait.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	if err := willDo(password); err != nil {
		return "", err
	}
	release, err := h.take(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	return phc(password), nil
}

// willDo reports why a new password will not do, in words for whose it is, if it will not.
func willDo(password string) error {
	if n := utf8.RuneCountInString(password); n < leastPassword || n > mostPassword {
		return tandem.Errorf(tandem.Invalid, "web.password", "Your password needs at least %d characters, and %d at most.", leastPassword, mostPassword)
	}
	return nil
}

// verify reports whether a password is the one of the PHC string that look finds. It is looked for once there
// is a turn, so that a try that look counts is one that is made. An empty string, which nobody's is, takes as
// long as any other, so that time does not tell who has an account.
func (h *hasher) verify(ctx context.Context, password string, look func() (encoded string, err error)) (bool, error) {
	release, err := h.take(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	encoded, err := look()
	if err != nil || len(password) > 4*mostPassword {
		return false, err
	}
	known := encoded != ""
	if !known {
		encoded = h.dummy
	}
	same, err := h.compare(password, encoded)
	return same && known, err
}

// phc hashes a password with a new salt: $argon2id$v=19$m=…,t=…,p=…$salt$hash.
func phc(password string) string {
	salt := random(argonSalt)
	return encode(salt, argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, argonKey))
}

func random(n int) []byte {
	bytes := make([]byte, n)
	_, _ = rand.Read(bytes) // never fails
	return bytes
}

func encode(salt, key []byte) string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads, b64(salt), b64(key))
}

// matches hashes a password by the parameters and the salt of a PHC string and compares.
func matches(password, encoded string) (bool, error) {
	const op = "web.password"
	parts := strings.Split(encoded, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return false, tandem.Errorf(tandem.Corrupt, op, "a stored password is not argon2id's, version %d", argon2.Version)
	}
	var memory, time uint32
	var threads uint8
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &time, &threads); err != nil || time < 1 || threads < 1 || memory > 1<<20 {
		return false, tandem.Errorf(tandem.Corrupt, op, "a stored password has the parameters %q", parts[3])
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return false, tandem.Errorf(tandem.Corrupt, op, "a stored password's salt: %w", err)
	}
	want, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || len(want) == 0 {
		return false, tandem.Errorf(tandem.Corrupt, op, "a stored password's hash: %w", err)
	}
	got := argon2.IDKey([]byte(password), salt, time, memory, threads, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}
