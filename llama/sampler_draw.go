package llama

import (
	"cmp"
	"math"
	"slices"

	"tandem"
	"tandem/llama/nn/kernel"
)

// drawer turns rows of logits into tokens and log-probabilities. It owns scratch memory for one row at a
// time.
type drawer struct {
	kernel  *kernel.Set
	ones    []float32 // [drawBlock]
	weights []float32 // exp((logit − largest) / T), [vocab]
	shifted []float32 // logit − largest, [drawBlock]
	blocks  []float64 // the sum of each drawBlock of weights
	ids     []int32   // candidates, ascending
	scratch []int32   // the undecided ones of a radix pass
	maxima  []float32 // of blocks of logits
	mass    [radixBuckets]float64
}

// drawBlock is how many weights are summed in float32 before the sum goes to a float64, and how many are
// skipped at once when a draw is looked up.
const drawBlock = 256

// newDrawers returns one drawer for each worker, to be taken from the channel and put back.
func newDrawers(t *trunk) chan *drawer {
	drawers, vocab := make(chan *drawer, t.workers.Count()), t.config.VocabSize
	ones := slices.Repeat([]float32{1}, drawBlock)
	for range t.workers.Count() {
		drawers <- &drawer{
			ones:    ones,
			kernel:  t.kernel,
			weights: make([]float32, vocab),
			shifted: make([]float32, drawBlock),
			blocks:  make([]float64, (vocab+drawBlock-1)/drawBlock),
			ids:     make([]int32, vocab),
			scratch: make([]int32, vocab),
			maxima:  make([]float32, 0, (vocab+kthBlock-1)/kthBlock),
		}
	}
	return drawers
}

// draw picks a token from one row of logits. The order is transformers': temperature, then the TopK
// likeliest tokens, then the smallest set of likeliest tokens whose share of what is left reaches TopP;
// among them u in [0, 1) decides by the cumulated probability in order of ids. Equally likely tokens rank
// by their id, the lowest first, which also makes temperature 0 well defined.
//
// logprob is ln softmax(logits / T)[token], before TopK and TopP (T = 1 at temperature 0). ok is false
// where a logit is not finite.
func (d *drawer) draw(logits []float32, s tandem.Sampling, u float64) (token int32, logprob float32, ok bool) {
	best, finite := d.argmax(logits)
	if !finite {
		return 0, 0, false
	}
	temperature := s.Temperature
	if temperature == 0 {
		temperature = 1
	}
	total := d.weigh(logits, logits[best], temperature)
	if s.Temperature == 0 {
		token = best
	} else {
		token = d.choose(logits, s, total, u)
	}
	return token, logProb(logits[token], logits[best], temperature, total), true
}

// logProb returns ln softmax(logits / temperature)[token]; ok is false where a logit is not finite.
func (d *drawer) logProb(logits []float32, token int32, temperature float64) (logprob float32, ok bool) {
	best, finite := d.argmax(logits)
	if !finite {
		return 0, false
	}
	total := d.weigh(logits, logits[best], temperature)
	return logProb(logits[token], logits[best], temperature, total), true
}

// entropy returns that of softmax(logits / T), from the weights of the draw that came last, which was from these logits:
//
//	−Σ p·ln p = ln Σ w − Σ w·(logit − largest) / (T·Σ w),  w = exp((logit − largest) / T).
func (d *drawer) entropy(logits []float32, temperature float64) float32 {
	if temperature == 0 {
		temperature = 1
	}
	largest := d.kernel.Max(logits)
	total, shifted := 0.0, 0.0
	for i, sum := range d.blocks {
		from, to := i*drawBlock, min((i+1)*drawBlock, len(logits))
		block := d.shifted[:to-from]
		copy(block, logits[from:to])
		d.kernel.Axpy(-largest, d.ones[:len(block)], block)
		total += sum
		shifted += float64(d.kernel.Dot(d.weights[from:to], block))
	}
	return float32(math.Log(total) - shifted/temperature/total)
}

// top returns the k likeliest tokens, equally likely ones by their id, with what draw returns as logprob for each. The
// logits are finite.
func (d *drawer) top(logits []float32, temperature float64, k int) []TokenLogProb {
	best, _ := d.argmax(logits)
	if temperature == 0 {
		temperature = 1
	}
	total := d.weigh(logits, logits[best], temperature)
	d.above(logits, float32(math.Inf(-1)))
	if k = min(k, len(logits)); k < len(logits) {
		d.above(logits, d.atMostKth(logits, k))
		d.keepLeading(logits, nil, float64(k))
	}
	out := make([]TokenLogProb, len(d.ids))
	for i, id := range d.ids {
		out[i] = TokenLogProb{id, logProb(logits[id], logits[best], temperature, total)}
	}
	slices.SortStableFunc(out, func(a, b TokenLogProb) int { return cmp.Compare(logits[b.Token], logits[a.Token]) })
	return out
}

// logProb is the logarithm of exp((logit − largest) / temperature) / total, in float64: the weight itself
// of an unlikely token has underflowed long before.
func logProb(logit, largest float32, temperature, total float64) float32 {
	return float32((float64(logit)-float64(largest))/temperature - math.Log(total))
}

// weigh fills d.weights and d.blocks from logits and returns their sum. The largest logit is subtracted
// before the division by the temperature, so that a low one does not magnify the rounding of large logits.
func (d *drawer) weigh(logits []float32, largest float32, temperature float64) float64 {
	scale := float32(min(1/temperature, math.MaxFloat32))
	total := 0.0
	for i := range d.blocks {
		from, to := i*drawBlock, min((i+1)*drawBlock, len(logits))
		weights := d.weights[from:to]
		copy(weights, logits[from:to])
		d.kernel.Axpy(-largest, d.ones[:len(weights)], weights)
		d.blocks[i] = float64(d.kernel.ExpShifted(weights, weights, scale, 0))
		total += d.blocks[i]
	}
	return total
}

// choose applies TopK and TopP and draws from what they leave; total is Σ d.weights.
func (d *drawer) choose(logits []float32, s tandem.Sampling, total, u float64) int32 {
	narrowed := false
	if s.TopK > 0 && s.TopK < len(logits) {
		d.above(logits, d.atMostKth(logits, s.TopK))
		d.keepLeading(logits, nil, float64(s.TopK))
		total, narrowed = d.sum(), true
	}
	if s.TopP > 0 && s.TopP < 1 {
		if !narrowed {
			// Tokens with less than their share of 1 − TopP do not reach it together, so the set ends before them.
			d.above(d.weights, float32((1-s.TopP)*total/float64(len(logits))))
		}
		d.keepLeading(logits, d.weights, s.TopP*total)
		total, narrowed = d.sum(), true
	}
	if !narrowed {
		return d.find(u * total)
	}
	sum, last := 0.0, d.ids[0]
	for _, id := range d.ids {
		if d.weights[id] > 0 {
			last = id
		}
		if sum += float64(d.weights[id]); sum > u*total {
			break
		}
	}
	return last
}

// find returns the first token whose cumulated weight exceeds target, or where rounding lets target escape
// a block or the whole row, the last one there that has any weight.
func (d *drawer) find(target float64) int32 {
	sum, before, within := 0.0, 0.0, 0 // before is the sum of the blocks before the one within
	for i, block := range d.blocks {
		if block == 0 {
			continue
		}
		before, within = sum, i
		if sum += block; sum > target {
			break
		}
	}
	sum = before
	last := within * drawBlock
	for i, w := range d.weights[last:min(last+drawBlock, len(d.weights))] {
		if w == 0 {
			continue
		}
		last = within*drawBlock + i
		if sum += float64(w); sum > target {
			break
		}
	}
	return int32(last)
}

// above makes the tokens with at least the given value candidates.
func (d *drawer) above(values []float32, least float32) {
	ids, n := d.ids[:cap(d.ids)], 0
	for i, v := range values {
		// Without a branch, which would be a coin toss.
		ids[n] = int32(i)
		n += one(v >= least)
	}
	d.ids = ids[:n]
}

// one is 1 for true.
func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// kthBlock is how many logits share a maximum in atMostKth.
const kthBlock = 64

// atMostKth returns a value that at least k logits reach: the k-th largest of the maxima of short blocks.
func (d *drawer) atMostKth(logits []float32, k int) float32 {
	d.maxima = d.maxima[:0]
	for from := 0; from < len(logits); from += kthBlock {
		d.maxima = append(d.maxima, d.kernel.Max(logits[from:min(from+kthBlock, len(logits))]))
	}
	if k > len(d.maxima) {
		return float32(math.Inf(-1))
	}
	slices.Sort(d.maxima)
	return d.maxima[len(d.maxima)-k]
}

// sum returns the candidates' weight.
func (d *drawer) sum() float64 {
	total := 0.0
	for _, id := range d.ids {
		total += float64(d.weights[id])
	}
	return total
}

// A radix pass ranks 11 bits of a key at a time, the highest first.
const (
	radixBits    = 11
	radixBuckets = 1 << radixBits
)

// keepLeading narrows the candidates to the fewest likeliest whose mass reaches target: their number where
// mass is nil, else their sum of mass. It finds the last one kept without sorting: each pass spreads the
// undecided candidates over buckets of their logits' next bits and walks down from the highest bucket to
// the one in which the target is reached, whose members alone stay undecided.
func (d *drawer) keepLeading(logits, mass []float32, target float64) {
	undecided := d.ids
	reached := 0.0
	cut := uint32(0) // the bits decided so far of the last kept logit's rank
	for _, shift := range [...]int{32 - radixBits, 32 - 2*radixBits, 0} {
		d.mass = [radixBuckets]float64{}
		for _, id := range undecided {
			m := 1.0
			if mass != nil {
				m = float64(mass[id])
			}
			d.mass[rank(logits[id])>>shift%radixBuckets] += m
		}
		bucket := radixBuckets - 1
		for ; bucket > 0; bucket-- {
			if reached+d.mass[bucket] >= target {
				break
			}
			reached += d.mass[bucket]
		}
		cut |= uint32(bucket) << shift
		next, n := d.scratch[:cap(d.scratch)], 0
		for _, id := range undecided {
			next[n] = id
			n += one(rank(logits[id])>>shift%radixBuckets == uint32(bucket))
		}
		undecided = next[:n]
	}
	// What is undecided now ties: the lowest ids are kept until the target is reached.
	lastTie := int32(-1)
	for _, id := range undecided {
		if reached >= target {
			break
		}
		lastTie = id
		if mass == nil {
			reached++
		} else {
			reached += float64(mass[id])
		}
	}
	kept := 0
	for _, id := range d.ids {
		r := rank(logits[id])
		d.ids[kept] = id
		kept += one(r > cut) + one(r == cut)*one(id <= lastTie)
	}
	d.ids = d.ids[:kept]
}

// rank maps a finite float32 to an integer of the same order.
func rank(x float32) uint32 {
	b := math.Float32bits(x + 0) // −0 ranks as 0
	if b>>31 != 0 {
		return ^b
	}
	return b | 1<<31
}

// argmax returns the lowest index of the largest logit, and whether all logits are finite.
func (d *drawer) argmax(logits []float32) (best int32, finite bool) {
	// An infinity or a NaN anywhere makes the sum one; so does a sum beyond float32, which no model reaches.
	if sum := float64(d.kernel.Sum(logits)); math.IsNaN(sum) || math.IsInf(sum, 0) {
		return 0, false
	}
	largest := d.kernel.Max(logits)
	for i, v := range logits {
		if v == largest {
			return int32(i), true
		}
	}
	return 0, false
}
