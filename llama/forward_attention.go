package llama

import (
	"math"

	"tandem/llama/nn/kernel"
)

// attentionRows is how many rows of one sequence attend together, sharing what is read of keys and values.
const attentionRows = 16

// attentionScratch is one worker's memory for attention of a block of rows under one key/value head; m is
// the number of its queries, rows × heads that share the key/value head.
type attentionScratch struct {
	queries []float32 // [m, e]
	scores  []float32 // [m, pages·pageTokens], then the weights exp((score − largest) / √e)
	mixed   []float32 // [m, e]
	part    []float32 // [m, e], one page's share of mixed
	totals  []float32 // [m], the sum of the weights
}

// watcher is told of one query's weights under one head, before they are divided by their total. Goroutines share it.
type watcher func(layer, head, query int, weights []float32, total float32)

// span is a block of rows of one sequence, [from, to).
type span struct{ from, to int }

// spans cuts rows into blocks of one sequence each.
func spans(rows []row, into []span) []span {
	into = into[:0]
	for i := 0; i < len(rows); {
		to := i + 1
		for to < len(rows) && to-i < attentionRows && rows[to].cache == rows[i].cache {
			to++
		}
		into = append(into, span{i, to})
		i = to
	}
	return into
}

// attend computes causal grouped-query attention,
//
//	mixed = softmax(q·Kᵀ / √e)·V
//
// of every row over the positions of its sequence up to its own, from l.qkv and the caches into l.mixed.
func (l *lane) attend(rows []row, layer int) {
	heads := l.config.NumKeyValueHeads
	l.blocks = spans(rows, l.blocks)
	tasks := len(l.blocks) * heads
	work := 0 // multiply-adds of a task, about
	if tasks > 0 {
		last := rows[len(rows)-1]
		work = len(rows) * (last.position + 1) * l.config.AttentionSize() / tasks
	}
	l.workers.For(tasks, grain(work), func(from, to int) {
		s := <-l.scratch
		defer func() { l.scratch <- s }()
		for task := from; task < to; task++ {
			block := l.blocks[task/heads]
			l.attendBlock(s, rows[block.from:block.to], block.from, layer, task%heads)
		}
	})
}

// attendBlock is attend for rows of one sequence, the first at index first of the pass, under one
// key/value head.
func (l *lane) attendBlock(s *attentionScratch, rows []row, first, layer, head int) {
	c := l.config
	e, group := c.HeadDim, c.NumAttentionHeads/c.NumKeyValueHeads
	m := len(rows) * group
	cache := rows[0].cache
	seen := rows[len(rows)-1].position + 1 // positions that are stored
	pages := (seen + pageTokens - 1) / pageTokens

	s.queries = resize(s.queries, m*e)
	for i := range rows {
		from := (first+i)*c.QKVSize() + head*group*e
		copy(s.queries[i*group*e:(i+1)*group*e], l.qkv[from:])
	}
	width := pages * pageTokens
	s.scores = resize(s.scores, m*width)
	for p := range pages {
		keys, _ := cache.block(p, layer, head)
		// Four at a time are faster than the last ones alone; what those behind the last come to is never read.
		n := (min(pageTokens, seen-p*pageTokens) + 3) / 4 * 4
		l.kernel.MatMulTStrided(s.scores[p*pageTokens:], width, s.queries, e, keys, e, m, n, e)
	}

	s.totals = resize(s.totals, m)
	for j := range m {
		positions := rows[j/group].position + 1
		scores := s.scores[j*width : (j+1)*width]
		s.totals[j] = exponentiate(l.kernel, scores[:positions], float32(1/math.Sqrt(float64(e))))
		if l.watch != nil {
			l.watch(layer, head*group+j%group, positions-1, scores[:positions], s.totals[j])
		}
		clear(scores[positions:seen])
	}

	s.mixed, s.part = resize(s.mixed, m*e), resize(s.part, m*e)
	clear(s.mixed)
	for p := range pages {
		_, values := cache.block(p, layer, head)
		l.kernel.MatMulTStrided(s.part, e, s.scores[p*pageTokens:], width, values, pageTokens, m, e, min(pageTokens, seen-p*pageTokens))
		l.kernel.Add(s.mixed, s.part)
	}
	for j, total := range s.totals {
		to := l.mixed[(first+j/group)*c.AttentionSize()+(head*group+j%group)*e:][:e]
		copy(to, s.mixed[j*e:])
		l.kernel.Scale(1/total, to)
	}
}

// exponentiate turns a row of scores into weights exp(scale·(score − largest)) and returns their sum.
func exponentiate(k *kernel.Set, scores []float32, scale float32) float32 {
	return k.ExpShifted(scores, scores, scale, scale*k.Max(scores))
}
