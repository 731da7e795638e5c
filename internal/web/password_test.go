package web

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"tandem"
)

func TestPasswords(t *testing.T) {
	h := newHasher()
	encoded, err := h.hash(t.Context(), "correct horse")
	if err != nil || !strings.HasPrefix(encoded, "$argon2id$v=19$m=65536,t=3,p=2$") {
		t.Fatalf("%s, %v", encoded, err)
	}
	stored := func(encoded string) func() (string, error) { return func() (string, error) { return encoded, nil } }
	for password, want := range map[string]bool{"correct horse": true, "correct horsE": false, "": false, strings.Repeat("x", 5000): false} {
		if got, err := h.verify(t.Context(), password, stored(encoded)); got != want || err != nil {
			t.Errorf("%.20q: %v, %v", password, got, err)
		}
	}
	if got, err := h.verify(t.Context(), "", stored("")); got || err != nil {
		t.Errorf("nobody's password: %v, %v", got, err)
	}
	for _, password := range []string{"seven 7", strings.Repeat("ü", 257)} {
		if _, err := h.hash(t.Context(), password); tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("%.20q: %v", password, err)
		}
	}
	for _, broken := range []string{"x", "$argon2i$v=19$m=8,t=1,p=1$AA$AA", "$argon2id$v=19$m=8$AA$AA", "$argon2id$v=19$m=8,t=1,p=1$AA$", "$argon2id$v=19$m=9999999,t=1,p=1$AA$AA"} {
		if _, err := h.verify(t.Context(), "x", stored(broken)); tandem.CodeOf(err) != tandem.Corrupt {
			t.Errorf("%s: %v", broken, err)
		}
	}
}

// RFC 9106's own example cannot be asked of the library's API (it has a secret); this is the reference
// implementation's: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1.
func TestPHCOfTheReferenceImplementation(t *testing.T) {
	const encoded = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	if same, err := matches("password", encoded); !same || err != nil {
		t.Errorf("%v, %v", same, err)
	}
}

// No more than two hashes are made at a time, a few may wait, and the rest are told to come again.
func TestHashesQueue(t *testing.T) {
	h := newHasher()
	var release []func()
	for range hashesAtOnce {
		r, err := h.take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		release = append(release, r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	refused := make(chan error, hashesWaiting+1)
	for range hashesWaiting + 1 {
		group.Go(func() {
			_, err := h.take(ctx)
			refused <- err
		})
	}
	if err := <-refused; tandem.CodeOf(err) != tandem.Unavailable {
		t.Errorf("one more than may wait: %v", err)
	}
	cancel()
	group.Wait()
	close(refused)
	for err := range refused {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("who waited: %v", err)
		}
	}
	for _, r := range release {
		r()
	}
	if r, err := h.take(t.Context()); err != nil {
		t.Error(err)
	} else {
		r()
	}
}
