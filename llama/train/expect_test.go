package train

import (
	"testing"

	"tandem/llama"
)

func TestExpectTellsWhatFitTakes(t *testing.T) {
	tr := newTrainer(t)
	tr.HeldOut, tr.Config.EvaluateEvery = counting(t, 5), 4
	e, err := tr.Expect()
	if err != nil {
		t.Fatal(err)
	}
	var taken, measured llama.Shape
	for i := range tr.HeldOut.Examples() {
		measured.Tokens += 3 * tr.HeldOut.Shape(i).Tokens // after the steps 4, 8 and 10
		measured.Sequences += 3
	}
	tr.Observe = func(s Stats) {
		taken.Tokens += s.Tokens
		taken.Sequences += s.Examples
	}
	if err := tr.Fit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e.Steps != 10 || e.Trained != taken || e.Measured != measured {
		t.Errorf("expected %+v, taken %+v, measured %+v", e, taken, measured)
	}
	tr = newTrainer(t)
	tr.HeldOut, tr.Config.EvaluateEvery, tr.Config.KeepBest = counting(t, 5), 4, KeepByLoss
	kept, err := tr.Expect()
	if err != nil {
		t.Fatal(err)
	}
	if kept.Bytes != e.Bytes+tr.Weights.TrainedBytes() {
		t.Errorf("%d bytes where the best weights are kept, %d where not, and the weights have %d", kept.Bytes, e.Bytes, tr.Weights.TrainedBytes())
	}
	if least := 3 * tr.Weights.TrainedBytes(); e.Bytes <= least {
		t.Errorf("%d bytes, and gradients with the optimizer's means and squares take %d", e.Bytes, least)
	}
}
