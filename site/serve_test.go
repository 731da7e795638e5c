package site

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"tandem"
)

// TestServeFinishesWhatIsUnderWay stops the server while a request is in its handler.
func TestServeFinishesWhatIsUnderWay(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	entered, leave := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		select {
		case <-leave:
			_, _ = io.WriteString(w, "kept")
		case <-r.Context().Done():
		}
	})
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, listener, handler) }()
	answered := make(chan string, 1)
	go func() {
		response, err := http.Get("http://" + listener.Addr().String())
		if err != nil {
			answered <- err.Error()
			return
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		answered <- string(body)
	}()
	<-entered
	stop()
	time.Sleep(20 * time.Millisecond) // the stop arrives while the request waits
	close(leave)
	if got := <-answered; got != "kept" {
		t.Errorf("the request under way got %q", got)
	}
	if err := <-served; err != nil {
		t.Errorf("a stop that was asked for: %v", err)
	}
	if _, err := net.DialTimeout("tcp", listener.Addr().String(), time.Second); err == nil {
		t.Error("the server still listens")
	}
}

func TestServeOnAClosedListener(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	if err := Serve(t.Context(), listener, http.NotFoundHandler()); tandem.CodeOf(err) != tandem.Unavailable {
		t.Errorf("got error %v", err)
	}
}

func TestCheckListen(t *testing.T) {
	tests := []struct {
		address, public string
		insecure, fine  bool
	}{
		{"127.0.0.1:8080", "", false, true},
		{"[::1]:8080", "", false, true},
		{"localhost:8080", "", false, true},
		{":8080", "", false, false},
		{"0.0.0.0:8080", "http://tandem.example", false, false},
		{"0.0.0.0:8080", "https://tandem.example", false, true},
		{"192.168.1.4:8080", "", true, true},
		{"nonsense", "", true, false},
	}
	for _, test := range tests {
		if err := CheckListen(test.address, test.public, test.insecure); (err == nil) != test.fine {
			t.Errorf("%+v: error %v", test, err)
		}
	}
}
