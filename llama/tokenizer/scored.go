package tokenizer

import (
	"math"
	"sort"
	"unicode/utf8"

	"tandem"
)

// scoredBPE is SentencePiece's BPE (its src/bpe_model.cc), llama2.c's too: two neighbours merge if their
// text is a piece, that of the highest score first.
type scoredBPE struct {
	ids          map[string]int32
	ranks        []int32 // by id: 0 has the highest score; equal scores have equal ranks
	longest      int     // bytes of the longest piece
	userDefined  *matcher
	unused       map[int32]bool // pieces that only help merging
	unk          int32
	byteFallback bool
	bytes        [256]int32
}

// order ranks the pieces by their scores.
func (m *scoredBPE) order(scores []float32) error {
	sorted := make([]int32, len(scores))
	for id, s := range scores {
		if math.IsNaN(float64(s)) {
			return tandem.Errorf(tandem.Invalid, op, "the score of token %d is not a number", id)
		}
		sorted[id] = int32(id)
	}
	sort.SliceStable(sorted, func(i, j int) bool { return scores[sorted[i]] > scores[sorted[j]] })
	m.ranks = make([]int32, len(scores))
	rank := int32(0)
	for i, id := range sorted {
		if i > 0 && scores[id] != scores[sorted[i-1]] {
			rank++
		}
		m.ranks[id] = rank
	}
	for content := range m.ids {
		m.longest = max(m.longest, len(content))
	}
	return nil
}

// frozen marks a symbol that is a user-defined piece: it merges with nothing.
const frozen = -2

func (m *scoredBPE) rank(text string, left, right symbol) (rank, id int32, ok bool) {
	if left.id == frozen || right.id == frozen || int(right.end-left.start) > m.longest {
		return 0, 0, false
	}
	if id, ok = m.ids[text[left.start:right.end]]; !ok {
		return 0, 0, false
	}
	return m.ranks[id], id, true
}

func (m *scoredBPE) encode(dst []int32, text string) ([]int32, error) {
	if len(text) > maxText {
		return nil, tandem.Errorf(tandem.Invalid, op, "a text of %d bytes (at most %d)", len(text), maxText)
	}
	symbols := make([]symbol, 0, utf8.RuneCountInString(text))
	for i := 0; i < len(text); {
		s := symbol{id: None, start: int32(i)}
		if p, ok := m.userDefined.at(text[i:]); ok {
			s.id = frozen
			i += len(p.text)
		} else {
			_, n := utf8.DecodeRuneInString(text[i:])
			i += n
		}
		s.end = int32(i)
		symbols = append(symbols, s)
	}
	link(symbols)
	var parts map[string]int // where a piece that is unused was cut, by its text
	if len(m.unused) > 0 {
		parts = make(map[string]int)
	}
	merge(text, symbols, unusedRecorder{m, parts})
	unknown := false // the last token is the unknown token
	var emit func(piece string)
	emit = func(piece string) {
		id, ok := m.ids[piece]
		if ok && m.unused[id] {
			if cut, ok := parts[piece]; ok {
				emit(piece[:cut])
				emit(piece[cut:])
				return
			}
		}
		switch {
		case ok:
			dst = append(dst, id)
		case m.byteFallback:
			for i := range len(piece) {
				dst = append(dst, m.bytes[piece[i]])
			}
		case !unknown:
			dst = append(dst, m.unk)
		}
		unknown = !ok
	}
	for i := int32(0); i >= 0 && len(symbols) > 0; i = symbols[i].next {
		emit(text[symbols[i].start:symbols[i].end])
	}
	return dst, nil
}

// unusedRecorder ranks as m does and remembers how unused pieces would be put together, so that they can
// be taken apart again.
type unusedRecorder struct {
	m     *scoredBPE
	parts map[string]int
}

func (u unusedRecorder) rank(text string, left, right symbol) (rank, id int32, ok bool) {
	rank, id, ok = u.m.rank(text, left, right)
	if ok && u.m.unused[id] {
		u.parts[text[left.start:right.end]] = int(left.end - left.start)
	}
	return rank, id, ok
}

// unigram is SentencePiece's unigram model (https://arxiv.org/abs/1804.10959; its
// src/unigram_model.cc, EncodeOptimized): the segmentation of the highest sum of log-probabilities.
type unigram struct {
	ids              map[string]int32
	scores           []float32
	unused           map[int32]bool
	userDefined      map[int32]bool
	longest          int
	minimum, maximum float32 // scores of normal pieces
	unk              int32
	byteFallback     bool
	bytes            [256]int32
}

func (m *unigram) prepare(pieces []spPiece) error {
	m.minimum, m.maximum = math.MaxFloat32, -math.MaxFloat32
	for id, p := range pieces {
		if math.IsNaN(float64(p.score)) {
			return tandem.Errorf(tandem.Invalid, op, "the score of token %d is not a number", id)
		}
		if p.kind == pieceNormal {
			m.minimum, m.maximum = min(m.minimum, p.score), max(m.maximum, p.score)
		}
	}
	for content := range m.ids {
		m.longest = max(m.longest, len(content))
	}
	return nil
}

func (m *unigram) encode(dst []int32, text string) ([]int32, error) {
	if len(text) > maxText {
		return nil, tandem.Errorf(tandem.Invalid, op, "a text of %d bytes (at most %d)", len(text), maxText)
	}
	const unknownPenalty = 10
	// best[i] is the best segmentation of text[:i]. Scores are float32 as in the original, so that
	// ties fall as there.
	type node struct {
		score float32
		start int32
		id    int32
	}
	best := make([]node, len(text)+1)
	for i := 1; i < len(best); i++ {
		best[i].start = -1
	}
	for start := 0; start < len(text); {
		here := best[start].score
		_, width := utf8.DecodeRuneInString(text[start:])
		single := false
		for end := start; end < len(text) && end-start < m.longest; {
			_, n := utf8.DecodeRuneInString(text[end:])
			end += n
			id, ok := m.ids[text[start:end]]
			if !ok || m.unused[id] {
				continue
			}
			score := m.scores[id]
			if m.userDefined[id] { // always wins
				score = float32(end-start)*m.maximum - 0.1
			}
			if score += here; best[end].start < 0 || score > best[end].score {
				best[end] = node{score, int32(start), id}
			}
			single = single || end-start == width
		}
		if !single {
			score, end := m.minimum-unknownPenalty+here, start+width
			if best[end].start < 0 || score > best[end].score {
				best[end] = node{score, int32(start), m.unk}
			}
		}
		start += width
	}
	var path []int // ends, the last first
	for i := len(text); i > 0; i = int(best[i].start) {
		path = append(path, i)
	}
	unknown := false
	for i := len(path) - 1; i >= 0; i-- {
		n := best[path[i]]
		switch {
		case n.id != m.unk:
			dst = append(dst, n.id)
		case m.byteFallback:
			for j := int(n.start); j < path[i]; j++ {
				dst = append(dst, m.bytes[text[j]])
			}
		case !unknown:
			dst = append(dst, m.unk)
		}
		unknown = n.id == m.unk
	}
	return dst, nil
}
