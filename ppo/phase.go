package ppo

import (
	"time"

	"tandem/internal/memory"
)

// Phase is what a part of an iteration took.
type Phase struct {
	Seconds   float64
	PeakBytes int64 // the most memory that the process held meanwhile; 0 where the system does not say
}

// Phases are the parts of an iteration; together they are all of it.
type Phases struct {
	Sampling Phase // answers from the policy
	Scoring  Phase // of the reward models
	Forward  Phase // ln π_0 and V, before the updates that need them
	Updates  Phase // gradient steps of critic and policy
	Rest     Phase // packing, rewards, advantages, and what is told of the iteration
}

// meter measures phases one after another.
type meter struct {
	last  time.Time
	reset bool // the peak of memory was set back then
}

func startMeter() *meter { return &meter{last: time.Now(), reset: memory.ResetPeak()} }

// lap adds what was since the last lap to a phase.
func (m *meter) lap(p *Phase) {
	now := time.Now()
	p.Seconds += now.Sub(m.last).Seconds()
	if m.reset {
		p.PeakBytes = max(p.PeakBytes, memory.Peak())
	}
	m.last, m.reset = now, memory.ResetPeak()
}

// metrics adds the phases' figures by name.
func (p Phases) metrics(m map[string]float64) {
	for name, phase := range map[string]Phase{"sample": p.Sampling, "score": p.Scoring, "forward": p.Forward, "update": p.Updates, "rest": p.Rest} {
		m["time/"+name] = phase.Seconds
		if phase.PeakBytes > 0 {
			m["memory/"+name] = float64(phase.PeakBytes)
		}
	}
}
