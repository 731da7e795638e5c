package statistics

// GwetAC is Gwet's agreement coefficient (p_a − p_e) / (1 − p_e) with
//
//	p_a = mean over items with r_i ≥ 2 of Σ_kl w_kl r_ik (r_il − [k=l]) / (r_i (r_i − 1))
//	p_e = T_w / (q (q − 1)) · Σ_k π_k (1 − π_k),  T_w = Σ_kl w_kl,
//
// where r_ik raters put item i in category k and π_k is the mean of r_ik / r_i over all rated items: AC1 with
// [IdentityWeights], AC2 with others (Gwet 2008, https://doi.org/10.1348/000711006X126600; Handbook of
// Inter-Rater Reliability). It is what Llama 2 reports of its annotators (appendix A.3.1), and keeps its
// sense where nearly all items are in one category, as κ does not.
func GwetAC(w Weights) Coefficient {
	return func(p Panel) (measure, error) {
		weight := w.matrix(p.q)
		total := 0.0 // T_w
		for _, row := range weight {
			for _, credit := range row {
				total += credit
			}
		}
		patterns, times := p.patterns(1)
		agreeing := make([]float64, len(patterns)) // an item's part of p_a
		for i, item := range patterns {
			for _, k := range item.ratings {
				for _, l := range item.ratings {
					others := l.times
					if k.category == l.category {
						others--
					}
					agreeing[i] += weight[k.category][l.category] * float64(k.times*others)
				}
			}
			agreeing[i] /= float64(max(1, item.n*(item.n-1)))
		}
		of := func(times []int) (float64, error) {
			observed, several, rated := 0.0, 0, 0
			share := make([]float64, p.q) // π_k × rated
			for i, item := range patterns {
				rated += times[i]
				for _, k := range item.ratings {
					share[k.category] += float64(times[i]*k.times) / float64(item.n)
				}
				if item.n >= 2 {
					several += times[i]
					observed += float64(times[i]) * agreeing[i]
				}
			}
			if several == 0 {
				return 0, noPairs()
			}
			spread := 0.0
			for _, s := range share {
				pi := s / float64(rated)
				spread += pi * (1 - pi)
			}
			expected := total / float64(p.q*(p.q-1)) * spread
			if 1-expected < 1e-12 {
				return 0, undefined("agreement by chance is certain")
			}
			return (observed/float64(several) - expected) / (1 - expected), nil
		}
		return measure{p.Coverage(), times, of}, nil
	}
}
