package statistics

// Weights are the credit w_kl that two ratings k and l of one item get, of q categories: 1 on the diagonal,
// less the farther they are apart (Gwet, Handbook of Inter-Rater Reliability, 4th edition, chapter 3).
type Weights func(k, l, q int) float64

// IdentityWeights give credit to equal categories alone.
func IdentityWeights(k, l, _ int) float64 {
	if k == l {
		return 1
	}
	return 0
}

// LinearWeights are w_kl = 1 − |k−l| / (q−1).
func LinearWeights(k, l, q int) float64 { return 1 - float64(apart(k, l))/float64(q-1) }

// QuadraticWeights are w_kl = 1 − (k−l)² / (q−1)².
func QuadraticWeights(k, l, q int) float64 {
	d := float64(apart(k, l)) / float64(q-1)
	return 1 - d*d
}

// OrdinalWeights are w_kl = 1 − C(|k−l|+1, 2) / C(q, 2): they use the categories' order and no distances.
func OrdinalWeights(k, l, q int) float64 {
	return 1 - float64(pairsOf(apart(k, l)+1))/float64(pairsOf(q))
}

// matrix is w_kl as a table.
func (w Weights) matrix(q int) [][]float64 {
	out := make([][]float64, q)
	for k := range out {
		out[k] = make([]float64, q)
		for l := range out[k] {
			out[k][l] = w(k, l, q)
		}
	}
	return out
}

func apart(k, l int) int { return max(k-l, l-k) }
