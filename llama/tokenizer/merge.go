package tokenizer

// symbol is a stretch of a text that is one token so far: a link of the list that merging shortens.
type symbol struct {
	id         int32 // None for characters that the vocabulary does not have
	start, end int32 // bytes of the text
	prev, next int32 // neighbours; -1 at the ends
}

// ranker says whether two neighbouring symbols may become one, how early (the lowest rank first), and
// which token they are then.
type ranker interface {
	rank(text string, left, right symbol) (rank, id int32, ok bool)
}

// merge does byte-pair encoding (https://arxiv.org/abs/1508.07909, section 3.2): while any two
// neighbours may merge, the pair of lowest rank does, the leftmost of equals. A heap of candidates makes
// it O(n log n) in the number of symbols. What is left is in symbols, linked from symbols[0].
func merge(text string, symbols []symbol, r ranker) {
	var queue candidates
	push := func(left, right int32) {
		if left < 0 || right < 0 {
			return
		}
		a, b := symbols[left], symbols[right]
		if rank, id, ok := r.rank(text, a, b); ok {
			queue.push(candidate{rank, left, right, id, b.end - a.start})
		}
	}
	for i := 1; i < len(symbols); i++ {
		push(int32(i-1), int32(i))
	}
	for len(queue) > 0 {
		c := queue.pop()
		left, right := &symbols[c.left], &symbols[c.right]
		// A candidate is stale if either side was merged since: the left one has another neighbour or
		// the two have another length.
		if left.next != c.right || right.prev != c.left || right.end-left.start != c.length {
			continue
		}
		left.id, left.end, left.next = c.id, right.end, right.next
		right.prev = gone
		if left.next >= 0 {
			symbols[left.next].prev = c.left
		}
		if left.prev != gone {
			push(left.prev, c.left)
		}
		push(c.left, left.next)
	}
}

// gone is the prev of a symbol that was merged into its left neighbour.
const gone = -2

// link makes n symbols a list.
func link(symbols []symbol) {
	for i := range symbols {
		symbols[i].prev, symbols[i].next = int32(i-1), int32(i+1)
	}
	if n := len(symbols); n > 0 {
		symbols[n-1].next = -1
	}
}

// candidate is a pair that may merge.
type candidate struct {
	rank        int32
	left, right int32
	id          int32
	length      int32 // of both in bytes when it was queued
}

// candidates is a binary heap, the lowest rank and then the leftmost on top. container/heap would box
// every entry.
type candidates []candidate

func (q candidates) less(i, j int) bool {
	if q[i].rank != q[j].rank {
		return q[i].rank < q[j].rank
	}
	return q[i].left < q[j].left
}

func (q *candidates) push(c candidate) {
	*q = append(*q, c)
	h := *q
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if !h.less(i, parent) {
			return
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

func (q *candidates) pop() candidate {
	h := *q
	top := h[0]
	h[0] = h[len(h)-1]
	h = h[:len(h)-1]
	*q = h
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(h) {
			return top
		}
		if child+1 < len(h) && h.less(child+1, child) {
			child++
		}
		if !h.less(child, i) {
			return top
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}
