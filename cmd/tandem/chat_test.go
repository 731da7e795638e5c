package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem"
	"tandem/dataset"
)

// TestChat holds a conversation through a pipe, saves it and reads it back.
func TestChat(t *testing.T) {
	model := smallModel(t, tandem.PolicyModel, 5, nil)
	file := filepath.Join(t.TempDir(), "talk.jsonl")
	in := "/save " + file + "\n/system be brief\nhello\n\nand you?\n/save " + file + "\n/nonsense\n/save /no/such/folder/f\n/reset\nhello\n/quit\nnever heard\n"
	r := tandemRun(t, in, "--json", "chat", "--model", model, "--max-tokens", "4").ok(t)
	for _, want := range []string{"nothing was said yet", "there is no /nonsense", "/no/such/folder/f"} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("stderr does not say %q: %s", want, r.stderr)
		}
	}
	last := object[conversation](t, r).Messages
	if len(last) != 3 || last[0].Role != tandem.System || last[1].Content != "hello" || last.Validate() != nil {
		t.Errorf("the conversation at the end: %+v", last)
	}
	saved, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer saved.Close()
	for d, err := range dataset.ReadDialogues(file, saved, dataset.Messages) {
		if err != nil || len(d) != 5 || d[0].Content != "be brief" || d[3].Content != "and you?" {
			t.Errorf("saved %+v, %v", d, err)
		}
		if d[2].Content != last[2].Content {
			t.Errorf("the same question was answered %q and then %q", d[2].Content, last[2].Content)
		}
	}
	generated := lines[generateReply](t, tandemRun(t, jsonLines(t, conversation{last[:2]}), "generate", "--model", model, "--max-tokens", "4").ok(t))
	if generated[0].Text != last[2].Content {
		t.Errorf("generate says %q, chat %q", generated[0].Text, last[2].Content)
	}
}

func TestChatInterrupted(t *testing.T) {
	model := smallModel(t, tandem.PolicyModel, 5, nil)
	in, hold := io.Pipe()
	defer hold.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int)
	go func() {
		done <- run(ctx, []string{"chat", "--model", model}, world{in: in, out: io.Discard, err: io.Discard})
	}()
	cancel()
	if code := <-done; code != exitInterrupted {
		t.Errorf("exit code %d", code)
	}
}

func TestPrintable(t *testing.T) {
	if got := printable("a\x1b[2Jb\n\tü\u009b"); got != "a\uFFFD[2Jb\n\tü\uFFFD" {
		t.Errorf("%q", got)
	}
}
