package practice

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"tandem"
	"tandem/internal/practice/draw"
	"tandem/internal/practice/town"
)

// Config says which practice world is wanted.
type Config struct {
	// Seed keys every draw: prompts, demonstrations and text. Worlds of different seeds ask the same
	// town different questions.
	Seed uint64
	// HeldOutShare is the share of openings that never occur in training: see tandem.HeldOut.
	// Defaults to tandem.HeldOutShare.
	HeldOutShare float64
	// Quality holds the shares of bad, middling and good answers among demonstrations; they are
	// normalised. Defaults to 0.35, 0.40 and 0.25: a model fitted to them is mediocre on purpose.
	Quality [3]float64
	// Cue is how strongly the spurious cue (the polite phrase and added length) goes with quality in
	// demonstrations, from 0, not at all, to 1. Defaults to 0.6, at which it
	// correlates with gold by about 0.4.
	Cue float64
}

// DefaultConfig returns the demo's world for a seed.
func DefaultConfig(seed uint64) Config {
	return Config{Seed: seed, HeldOutShare: tandem.HeldOutShare, Quality: [3]float64{0.35, 0.40, 0.25}, Cue: 0.6}
}

// Validate reports the first field that makes no world.
func (c Config) Validate() error {
	const op = "practice.Config"
	total := 0.0
	for i, q := range c.Quality {
		if !(q >= 0) {
			return tandem.Errorf(tandem.Invalid, op, "Quality[%d] is %v, not a share", i, q)
		}
		total += q
	}
	switch {
	case !(total > 0):
		return tandem.Errorf(tandem.Invalid, op, "Quality has no share above 0")
	case !(c.HeldOutShare >= 0.01 && c.HeldOutShare <= 0.99):
		return tandem.Errorf(tandem.Invalid, op, "HeldOutShare is %v, not between 0.01 and 0.99", c.HeldOutShare)
	case !(c.Cue >= 0 && c.Cue <= 1):
		return tandem.Errorf(tandem.Invalid, op, "Cue is %v, not between 0 and 1", c.Cue)
	}
	return nil
}

// World asks the town's questions and answers them well or badly. It is never changed once made, and
// safe for concurrent use: what it returns depends on the configuration and the arguments alone.
type World struct {
	config Config
	town   *town.Town
}

// New makes a world.
func New(config Config) (*World, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	return &World{config, town.New()}, nil
}

// Split says on which side of the train / held-out split a prompt lies.
type Split bool

const (
	Train   Split = false
	HeldOut Split = true
)

// The purposes that key draws, so that prompt 7 and demonstration 7 have nothing to do with each other.
const (
	drawPrompt uint64 = iota + 1
	drawDemonstration
	drawAnswer
	drawText
	drawWriter
	drawConversation
	drawTalk
	drawCareful
	drawOffice
	drawDated
	drawDatedYear
	drawChronicle
)

// Prompt returns prompt number index of the given families (each equally likely) on one side of the
// split. Equal arguments give equal prompts; different indices may give the same one by chance.
func (w *World) Prompt(split Split, families []Family, index uint64) tandem.Prompt {
	if len(families) == 0 {
		panic("practice.Prompt: no families")
	}
	side := uint64(0)
	if split == HeldOut {
		side = 1
	}
	p, _ := w.prompt(split, func(r *rand.Rand) Family { return draw.Pick(r, families) }, drawPrompt, side, index)
	p.ID = fmt.Sprintf("practice-%d-%d-%d", w.config.Seed, side, index)
	return p
}

// Prompts returns the first n prompts, by index, that differ in their text. It fails if the families
// have not that many.
func (w *World) Prompts(split Split, families []Family, n int) ([]tandem.Prompt, error) {
	seen := map[string]bool{}
	var prompts []tandem.Prompt
	vain := 0 // draws since the last new prompt
	for index := uint64(0); len(prompts) < n; index++ {
		if vain++; vain > 1000+10*len(prompts) {
			return nil, tandem.Errorf(tandem.Invalid, "practice.Prompts", "%v have only about %d different prompts on this side of the split, not %d",
				families, len(prompts), n)
		}
		p := w.Prompt(split, families, index)
		var key strings.Builder
		for _, m := range p.Messages {
			key.WriteString(m.Content)
			key.WriteByte('\n')
		}
		if !seen[key.String()] {
			seen[key.String()] = true
			prompts = append(prompts, p)
			vain = 0
		}
	}
	return prompts, nil
}

// prompt draws until the opening falls on the wanted side.
func (w *World) prompt(split Split, family func(*rand.Rand) Family, key ...uint64) (tandem.Prompt, *rand.Rand) {
	for attempt := uint64(0); ; attempt++ {
		r := draw.New(w.config.Seed, append(key, attempt)...)
		p := w.compose(r, family(r))
		if tandem.HeldOut(p.Messages.Opening(), w.config.HeldOutShare) == bool(split) {
			p.HeldOut = bool(split)
			return p, r
		}
	}
}

// compose draws one prompt of a family.
func (w *World) compose(r *rand.Rand, f Family) tandem.Prompt {
	p := tandem.Prompt{Source: "practice/" + string(f)}
	greeting := draw.Pick(r, town.Greetings())
	switch f {
	case town.PersonaFamily:
		p.Messages = w.personaDialogue(r, greeting)
	case town.UnsafeFamily:
		q := draw.Pick(r, w.town.Questions(f))
		p.Safety, p.Risk = true, q.Task.(town.Deed).Risk
		before := greeting
		if r.IntN(2) == 0 {
			attack := draw.Pick(r, town.Attacks())
			p.Vector = attack.Vector
			before += attack.Text
		}
		p.Messages = tandem.Dialogue{}.With(tandem.User, before+q.Text)
	default:
		p.Messages = tandem.Dialogue{}.With(tandem.User, greeting+draw.Pick(r, w.town.Questions(f)).Text)
	}
	return p
}

// personaDialogue is two to four user turns: the first gives the persona, the answers before the last
// turn keep it.
func (w *World) personaDialogue(r *rand.Rand, greeting string) tandem.Dialogue {
	persona := draw.Pick(r, town.Personas())
	content := greeting + draw.Pick(r, persona.Instructions())
	var d tandem.Dialogue
	var asked town.Question
	for turn := range draw.Weighted(r, 5, 3, 2) + 2 {
		if turn > 0 {
			request := town.Request{Family: town.PersonaFamily, Task: asked.Task, Persona: &persona}
			d = d.With(tandem.Assistant, w.answer(r, request, Good))
			content = ""
		}
		asked = draw.Pick(r, w.town.Questions(draw.Pick(r, []Family{town.FactFamily, town.CompareFamily})))
		d = d.With(tandem.User, content+asked.Text)
	}
	return d
}
