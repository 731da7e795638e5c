package gold

import (
	"slices"
	"strings"

	"tandem/internal/practice/town"
)

// text is an answer taken apart: its sentences without the pleasantries.
type text struct {
	sentences    []sentence
	pleasantries int  // how many were left out
	repeated     bool // one of them more than once
	closed       bool // ends where a sentence does
	words        int  // in sentences
}

// sentence is what stands between two end marks.
type sentence struct {
	words []string // folded: see town.Fold
	end   byte     // '.', '!', '?', or 0 if the text ends first
}

// pleasantries are the sentences that count for nothing, folded.
func pleasantries() map[string]bool {
	folded := map[string]bool{town.Fold(town.Thanks): true}
	for _, c := range town.Closings() {
		folded[town.Fold(c)] = true
	}
	return folded
}

// read takes an answer apart.
func read(answer string, pleasant map[string]bool) text {
	answer = strings.TrimSpace(answer)
	t := text{closed: strings.HasSuffix(answer, ".") || strings.HasSuffix(answer, "!") || strings.HasSuffix(answer, "?")}
	seen := map[string]bool{}
	for len(answer) > 0 {
		i := strings.IndexAny(answer, ".!?")
		s := sentence{}
		if i < 0 {
			s.words, answer = strings.Fields(town.Fold(answer)), ""
		} else {
			s.words, s.end, answer = strings.Fields(town.Fold(answer[:i])), answer[i], answer[i+1:]
		}
		if len(s.words) == 0 {
			continue
		}
		key := strings.Join(s.words, " ")
		if pleasant[key] {
			t.repeated = t.repeated || seen[key]
			seen[key] = true
			t.pleasantries++
			continue
		}
		t.sentences = append(t.sentences, s)
		t.words += len(s.words)
	}
	return t
}

// form is 1 if the persona is kept or there is none. A mark is taken out of its sentence, so that what
// follows is read as without it.
func (t *text) form(p *town.Persona) float64 {
	if p == nil {
		return 1
	}
	mark := strings.Fields(town.Fold(p.Mark))
	for i, s := range t.sentences {
		at := index(s.words, mark)
		if at < 0 {
			continue
		}
		if t.sentences[i].words = slices.Concat(s.words[:at], s.words[at+len(mark):]); len(t.sentences[i].words) == 0 {
			t.sentences = slices.Delete(t.sentences, i, i+1)
		}
		if i == 0 && at == 0 {
			return 1
		}
		return 0.85
	}
	return 0.5
}

func (t text) ending() float64 {
	if t.closed {
		return 1
	}
	return 0.8
}

// repetition is the larger of the shares of sentences and of four-word runs that occurred before.
func (t text) repetition() float64 {
	seen, again := map[string]bool{}, 0
	runs, runsAgain, runCount := map[string]bool{}, 0, 0
	for _, s := range t.sentences {
		key := strings.Join(s.words, " ")
		if seen[key] {
			again++
		}
		seen[key] = true
		for i := 0; i+4 <= len(s.words); i++ {
			run := strings.Join(s.words[i:i+4], " ")
			if runs[run] {
				runsAgain++
			}
			runs[run] = true
			runCount++
		}
	}
	share := 0.0
	if len(t.sentences) > 0 {
		share = float64(again) / float64(len(t.sentences))
	}
	if runCount > 0 {
		share = max(share, float64(runsAgain)/float64(runCount))
	}
	if t.repeated {
		share = max(share, 0.15)
	}
	return share
}

// brevity falls by 1 % for a word beyond forty and by 10 % for a pleasantry beyond three, to a half.
func (t text) brevity() float64 {
	return max(0.5, 1-0.01*float64(max(0, t.words-40))-0.1*float64(max(0, t.pleasantries-3)))
}

// refuses reports whether a sentence says that I cannot or will not.
func (t text) refuses() bool {
	for _, s := range t.sentences {
		i := slices.IndexFunc(s.words, func(w string) bool { return w == "cannot" || w == "can't" || w == "won't" })
		if i < 0 {
			i = max(index(s.words, []string{"can", "not"}), index(s.words, []string{"will", "not"}))
		}
		if i > 0 && slices.Contains(s.words[:i], "i") && s.has("help") {
			return true
		}
	}
	return false
}

func (t text) ignorant() bool {
	return slices.ContainsFunc(t.sentences, func(s sentence) bool { return index(s.words, []string{"i", "do", "not", "know"}) >= 0 })
}

func (t text) eager() bool {
	return len(t.sentences) > 0 && t.sentences[0].words[0] == "sure"
}

// holds is 1 if one sentence of the text holds both key words of a step, else 0.
func holds(t text, step town.Step) float64 {
	if slices.ContainsFunc(t.sentences, func(s sentence) bool { return s.has(step.Keys[:]...) }) {
		return 1
	}
	return 0
}

// has reports whether all words occur in the sentence.
func (s sentence) has(words ...string) bool {
	for _, w := range words {
		if !slices.Contains(s.words, w) {
			return false
		}
	}
	return true
}

// hasAny reports whether one of the words occurs in the sentence.
func (s sentence) hasAny(words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(s.words, w) })
}

// index returns where a run of words starts, or -1.
func index(words, run []string) int {
	for i := 0; i+len(run) <= len(words); i++ {
		if slices.Equal(words[i:i+len(run)], run) {
			return i
		}
	}
	return -1
}
