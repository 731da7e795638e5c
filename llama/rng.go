package llama

import (
	"math/bits"

	"tandem"
)

// uniform returns the random number in [0, 1), a multiple of 2^−53, that decides the token at position
// (from 0, the prompt counted) of the sample that key names. It is a function of its arguments and
// nothing else: one block of Philox-4×64-10 with the counter (position, sample, prompt, 0) and the key
// (seed, 0), so distinct arguments never share a block, and an answer does not depend on the order, the
// slot or the batch that it was sampled in.
func uniform(key tandem.SampleKey, position int) float64 {
	block := philox([4]uint64{uint64(position), key.Sample, key.Prompt, 0}, [2]uint64{key.Seed, 0})
	return float64(block[0]>>11) * 0x1p-53
}

// philox is the counter-based generator Philox-4×64 with ten rounds ("Parallel random numbers: as easy as
// 1, 2, 3", https://doi.org/10.1145/2063384.2063405, section 3.3; reference: Random123's philox.h).
func philox(counter [4]uint64, key [2]uint64) [4]uint64 {
	const (
		m0, m1 = 0xD2E7470EE14C6C93, 0xCA5A826395121157 // multipliers
		w0, w1 = 0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B // the key's Weyl sequence
	)
	for range 10 {
		hi0, lo0 := bits.Mul64(m0, counter[0])
		hi1, lo1 := bits.Mul64(m1, counter[2])
		counter = [4]uint64{hi1 ^ counter[1] ^ key[0], lo1, hi0 ^ counter[3] ^ key[1], lo0}
		key[0] += w0
		key[1] += w1
	}
	return counter
}
