package pipeline

import (
	"math"
	"os"
	"strings"
	"testing"
)

// A run that was killed leaves lines behind its last state, and perhaps half a line: resumed, each step
// stands there once.
func TestMetricsOfAResumedRun(t *testing.T) {
	out := t.TempDir()
	write := func(upTo int64, from, to int, torn string) {
		t.Helper()
		m, err := openMetrics(t.Context(), out, upTo)
		if err != nil {
			t.Fatal(err)
		}
		for step := from; step <= to; step++ {
			if step%2 == 0 {
				m.add(Observation{Step: step, Metrics: map[string]float64{"eval/x": 1}})
			}
			m.add(Observation{Step: step, Metrics: map[string]float64{"loss": float64(step), "nan": math.NaN()}})
		}
		if _, err := m.file.WriteString(torn); err != nil {
			t.Fatal(err)
		}
		if err := m.close(); err != nil {
			t.Fatal(err)
		}
	}
	write(0, 1, 5, `{"loss":`)
	write(4, 4, 6, "") // the evaluation at its state is done again
	text, err := os.ReadFile(metricsPath(out))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"loss":1,"nan":null,"step":1}
{"eval/x":1,"step":2}
{"loss":2,"nan":null,"step":2}
{"loss":3,"nan":null,"step":3}
{"eval/x":1,"step":4}
{"loss":4,"nan":null,"step":4}
{"loss":5,"nan":null,"step":5}
{"eval/x":1,"step":6}
{"loss":6,"nan":null,"step":6}
`
	if string(text) != want {
		t.Errorf("got\n%swant\n%s", text, want)
	}
	write(0, 1, 1, "")
	if text, err := os.ReadFile(metricsPath(out)); err != nil || strings.Count(string(text), "\n") != 1 {
		t.Errorf("begun anew: %s, %v", text, err)
	}
}

func TestDifferencesNameWhatDiffers(t *testing.T) {
	got := changed("", map[string]any{"a": 1., "b": map[string]any{"c": 2., "d": "x"}}, map[string]any{"a": 1., "b": map[string]any{"c": 3.}, "e": true})
	if want := "b.c b.d e"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}
