// Package draw gives the practice world its randomness: a generator for every key, never a shared
// stream, so that what is drawn for one prompt does not depend on what was drawn before it.
package draw

import "math/rand/v2"

// New returns the generator of one key: a seed and the numbers that name what is drawn (a purpose, an
// index, an attempt). Equal keys give equal draws; keys that differ anywhere give unrelated ones.
func New(seed uint64, key ...uint64) *rand.Rand {
	high, low := mix(seed), mix(^seed)
	for _, k := range key {
		high = mix(high ^ mix(k))
		low = mix(low + high)
	}
	return rand.New(rand.NewPCG(high, low))
}

// mix is the finalizer of splitmix64 (https://prng.di.unimi.it/splitmix64.c): a bijection in which
// every input bit flips every output bit with probability one half.
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Pick returns one of the choices with equal probability.
func Pick[T any](r *rand.Rand, choices []T) T { return choices[r.IntN(len(choices))] }

// Weighted returns an index with probability proportional to its weight. The weights must not be
// negative and must not all be zero.
func Weighted(r *rand.Rand, weights ...float64) int {
	var total float64
	for _, w := range weights {
		total += w
	}
	if !(total > 0) {
		panic("draw.Weighted: no weight is positive")
	}
	x := r.Float64() * total
	last := 0
	for i, w := range weights {
		if w <= 0 {
			continue
		}
		last = i
		if x -= w; x < 0 {
			return i
		}
	}
	return last
}
