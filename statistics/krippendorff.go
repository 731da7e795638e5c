package statistics

// Scale says how far apart two categories are to Krippendorff's α.
type Scale int

const (
	NominalScale  Scale = iota // equal or not
	OrdinalScale               // by how many ratings lie between them
	IntervalScale              // by the square of the difference of their numbers
)

// KrippendorffAlpha is Krippendorff's α = 1 − D_o / D_e over the coincidences o_ck of items with two ratings
// or more,
//
//	α = 1 − (n − 1) Σ_{c<k} o_ck δ²_ck / Σ_{c<k} n_c n_k δ²_ck,
//
// with δ²_ck = 1 on a nominal scale, (c − k)² on an interval scale, and (Σ_{g=c…k} n_g − (n_c + n_k)/2)² on
// an ordinal one (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability",
// https://repository.upenn.edu/asc_papers/43).
func KrippendorffAlpha(scale Scale) Coefficient {
	return func(p Panel) (measure, error) {
		patterns, times := p.patterns(2)
		coincidence := make([]float64, p.q*p.q) // o_ck at c·q + k
		total := make([]float64, p.q)           // n_c
		of := func(times []int) (float64, error) {
			clear(coincidence)
			clear(total)
			n := 0.0
			for i, item := range patterns {
				if times[i] == 0 {
					continue
				}
				n += float64(times[i] * item.n)
				for _, c := range item.ratings {
					total[c.category] += float64(times[i] * c.times)
					for _, k := range item.ratings {
						if c.category < k.category {
							coincidence[c.category*p.q+k.category] += float64(times[i]*c.times*k.times) / float64(item.n-1)
						}
					}
				}
			}
			if n == 0 {
				return 0, noPairs()
			}
			observed, expected := 0.0, 0.0
			for c := range p.q {
				between := total[c] // n_c + … + n_k
				for k := c + 1; k < p.q; k++ {
					between += total[k]
					distance := 1.0
					switch scale {
					case OrdinalScale:
						distance = between - (total[c]+total[k])/2
					case IntervalScale:
						distance = float64(k - c)
					}
					observed += coincidence[c*p.q+k] * distance * distance
					expected += total[c] * total[k] * distance * distance
				}
			}
			if expected == 0 {
				return 0, undefined("all ratings are in one category")
			}
			return 1 - (n-1)*observed/expected, nil
		}
		return measure{p.Coverage(), times, of}, nil
	}
}
