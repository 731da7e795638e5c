package tokenizer

import "container/heap"

// pairCount is a pair of neighbouring tokens and how often it occurred when it was queued.
type pairCount struct {
	pair  uint64
	count int64
}

// pairQueue gives the most frequent pair first, of equals the one with the lowest ids.
type pairQueue []pairCount

func (q *pairQueue) push(p pairCount) { heap.Push((*pairHeap)(q), p) }
func (q *pairQueue) pop() pairCount   { return heap.Pop((*pairHeap)(q)).(pairCount) }

type pairHeap []pairCount

func (h pairHeap) Len() int { return len(h) }
func (h pairHeap) Less(i, j int) bool {
	if h[i].count != h[j].count {
		return h[i].count > h[j].count
	}
	return h[i].pair < h[j].pair
}
func (h pairHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *pairHeap) Push(x any)   { *h = append(*h, x.(pairCount)) }
func (h *pairHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
