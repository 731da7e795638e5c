package dataset

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"math"
	"slices"

	"tandem"
)

// Mixture declares what a model is fitted to: parts of several sources in fixed proportions
// (section 3.2.2). The first part is taken whole and sets the scale; of each other part, records are
// drawn uniformly and without replacement from the union of its sources until the proportion is met or
// the part is used up.
type Mixture struct {
	// Parts are shares of the whole; the first sets the scale: all of its records are taken.
	Parts []Part `json:"parts"`
	// Seed of what is drawn, and of the order.
	Seed uint64 `json:"seed"`
	// Sources says where a source lies that is not simply an aspect of a run's own data, by name.
	Sources map[string]Source `json:"sources,omitempty"`
}

// Source is where the comparisons of a mixture's source lie.
type Source struct {
	Data   string `json:"data"`             // a file, or snapshot:ID
	Format Format `json:"format,omitempty"` // of the file; tandem's own where it is empty
	// Aspect takes the comparisons of one aspect alone. Defaults to all of a file, and to the model's aspect of a
	// snapshot.
	Aspect tandem.Aspect `json:"aspect,omitempty"`
}

// Part is one share of a mixture.
type Part struct {
	Sources []string `json:"sources"`
	Weight  float64  `json:"weight"` // relative to the other parts' weights, > 0
}

// Pick is one record of a mixture.
type Pick struct {
	Source string
	Index  int // within the source
}

// HelpfulnessMixture is the helpfulness model's: all helpfulness data with an equal part of the rest,
// drawn uniformly from safety and open data (section 3.2.2, "Data Composition").
func HelpfulnessMixture(helpfulness string, rest []string, seed uint64) Mixture {
	return Mixture{Parts: []Part{{[]string{helpfulness}, 0.5}, {rest, 0.5}}, Seed: seed}
}

// SafetyMixture is the safety model's: all safety data and helpfulness data at 90 : 10 (section 3.2.2).
func SafetyMixture(safety string, helpfulness []string, seed uint64) Mixture {
	return Mixture{Parts: []Part{{[]string{safety}, 0.9}, {helpfulness, 0.1}}, Seed: seed}
}

// Validate reports what no data could satisfy. The zero mixture, which has no parts, takes everything as it comes.
func (m Mixture) Validate() error {
	const op = "dataset.Mixture"
	taken := make(map[string]bool)
	for i, part := range m.Parts {
		if !(part.Weight > 0) || math.IsInf(part.Weight, 0) {
			return tandem.Errorf(tandem.Invalid, op, "part %d has weight %g", i+1, part.Weight)
		}
		if len(part.Sources) == 0 {
			return tandem.Errorf(tandem.Invalid, op, "part %d has no sources", i+1)
		}
		for _, source := range part.Sources {
			if taken[source] {
				return tandem.Errorf(tandem.Invalid, op, "source %q stands in the mixture twice", source)
			}
			taken[source] = true
		}
	}
	for name, s := range m.Sources {
		switch {
		case !taken[name]:
			return tandem.Errorf(tandem.Invalid, op, "source %q is in no part", name)
		case s.Data == "":
			return tandem.Errorf(tandem.Invalid, op, "source %q has no data", name)
		case s.Format != "" && !slices.Contains(Formats(), s.Format):
			return tandem.Errorf(tandem.Invalid, op, "source %q has format %q; there are %v", name, s.Format, Formats())
		case s.Aspect != "" && !s.Aspect.Valid():
			return tandem.Errorf(tandem.Invalid, op, "source %q has aspect %q, neither helpfulness nor safety", name, string(s.Aspect))
		}
	}
	return nil
}

// Order lists the mixture's records in the order in which they are trained on, for sources of the given
// sizes. Each record's place depends on the seed, its source and its index alone: a source that grows
// does not reshuffle what was there.
func (m Mixture) Order(sizes map[string]int) ([]Pick, error) {
	const op = "dataset.Mixture"
	if len(m.Parts) == 0 {
		return nil, tandem.Errorf(tandem.Invalid, op, "the mixture has no parts")
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	var order []Pick
	for i, part := range m.Parts {
		var pool []Pick
		for _, source := range part.Sources {
			size, ok := sizes[source]
			if !ok {
				return nil, tandem.Errorf(tandem.NotFound, op, "there is no source %q", source)
			}
			for index := range size {
				pool = append(pool, Pick{source, index})
			}
		}
		m.shuffle(pool, "draw")
		if i > 0 {
			want := int(float64(sourcesSize(m.Parts[0], sizes))*part.Weight/m.Parts[0].Weight + 0.5)
			pool = pool[:min(want, len(pool))]
		}
		order = append(order, pool...)
	}
	m.shuffle(order, "order")
	return order, nil
}

// shuffle sorts picks by a hash of seed, purpose, source and index.
func (m Mixture) shuffle(picks []Pick, purpose string) {
	keys := make(map[Pick]uint64, len(picks))
	for _, p := range picks {
		hash := fnv.New64a()
		var words [16]byte
		binary.LittleEndian.PutUint64(words[:8], m.Seed)
		binary.LittleEndian.PutUint64(words[8:], uint64(p.Index))
		hash.Write([]byte(purpose + "\x00" + p.Source + "\x00"))
		hash.Write(words[:])
		keys[p] = mix(hash.Sum64())
	}
	slices.SortFunc(picks, func(a, b Pick) int {
		return cmp.Or(cmp.Compare(keys[a], keys[b]), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Index, b.Index))
	})
}

// mix is the finalizer of SplitMix64 (https://prng.di.unimi.it/splitmix64.c); FNV alone leaves
// neighbouring indices near each other.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func sourcesSize(p Part, sizes map[string]int) int {
	n := 0
	for _, source := range p.Sources {
		n += sizes[source]
	}
	return n
}
