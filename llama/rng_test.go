package llama

import (
	"math"
	"testing"

	"tandem"
)

// TestPhiloxKnownAnswers holds the vectors of Random123's kat_vectors file.
func TestPhiloxKnownAnswers(t *testing.T) {
	const ones = math.MaxUint64
	for _, test := range []struct {
		counter [4]uint64
		key     [2]uint64
		want    [4]uint64
	}{
		{
			want: [4]uint64{0x16554d9eca36314c, 0xdb20fe9d672d0fdc, 0xd7e772cee186176b, 0x7e68b68aec7ba23b},
		},
		{
			[4]uint64{ones, ones, ones, ones}, [2]uint64{ones, ones},
			[4]uint64{0x87b092c3013fe90b, 0x438c3c67be8d0224, 0x9cc7d7c69cd777b6, 0xa09caebf594f0ba0},
		},
		{
			[4]uint64{0x243f6a8885a308d3, 0x13198a2e03707344, 0xa4093822299f31d0, 0x082efa98ec4e6c89},
			[2]uint64{0x452821e638d01377, 0xbe5466cf34e90c6c},
			[4]uint64{0xa528f45403e61d95, 0x38c72dbd566e9788, 0xa5a1610e72fd18b5, 0x57bd43b5e52b7fe6},
		},
	} {
		if got := philox(test.counter, test.key); got != test.want {
			t.Errorf("philox(%x, %x) = %x, want %x", test.counter, test.key, got, test.want)
		}
	}
}

// TestUniformIsKeyed changes each part of the key alone: the draw must change with it.
func TestUniformIsKeyed(t *testing.T) {
	base := uniform(tandem.SampleKey{Seed: 1, Prompt: 2, Sample: 3}, 4)
	if again := uniform(tandem.SampleKey{Seed: 1, Prompt: 2, Sample: 3}, 4); again != base {
		t.Errorf("the same key gives %v, then %v", base, again)
	}
	for name, got := range map[string]float64{
		"seed":     uniform(tandem.SampleKey{Seed: 9, Prompt: 2, Sample: 3}, 4),
		"prompt":   uniform(tandem.SampleKey{Seed: 1, Prompt: 9, Sample: 3}, 4),
		"sample":   uniform(tandem.SampleKey{Seed: 1, Prompt: 2, Sample: 9}, 4),
		"position": uniform(tandem.SampleKey{Seed: 1, Prompt: 2, Sample: 3}, 9),
		"swapped":  uniform(tandem.SampleKey{Seed: 1, Prompt: 3, Sample: 2}, 4),
	} {
		if got == base {
			t.Errorf("another %s gives the same number %v", name, got)
		}
	}
}

// TestUniformIsUniform bins draws over neighbouring keys: chi-square over 64 bins (63 degrees of freedom)
// stays below its 99.99 % point along every part of the key.
func TestUniformIsUniform(t *testing.T) {
	const draws, bins, limit = 1 << 14, 64, 113.5
	for name, draw := range map[string]func(i int) float64{
		"seed":     func(i int) float64 { return uniform(tandem.SampleKey{Seed: uint64(i)}, 0) },
		"prompt":   func(i int) float64 { return uniform(tandem.SampleKey{Prompt: uint64(i)}, 0) },
		"sample":   func(i int) float64 { return uniform(tandem.SampleKey{Sample: uint64(i)}, 0) },
		"position": func(i int) float64 { return uniform(tandem.SampleKey{}, i) },
	} {
		var counts [bins]float64
		for i := range draws {
			u := draw(i)
			if u < 0 || u >= 1 {
				t.Fatalf("%s: %v is outside [0, 1)", name, u)
			}
			counts[int(u*bins)]++
		}
		chi := 0.0
		for _, n := range counts {
			chi += (n - draws/bins) * (n - draws/bins) / (draws / bins)
		}
		if chi > limit {
			t.Errorf("%s: chi-square %.1f over %d bins", name, chi, bins)
		}
	}
}
