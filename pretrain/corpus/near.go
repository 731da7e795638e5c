package corpus

import (
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
)

const (
	shingleWords = 5 // of a sequence that two documents may have in common
	bands        = 32
	rowsOfBand   = 4
	hashes       = bands * rowsOfBand // of a signature
)

// index finds documents that are nearly alike. A document is a candidate for another where all four hashes of one of 32
// bands agree: of documents with a Jaccard index of 0.8 all but 5 in a hundred million are found, with 0.5 all but one in eight.
type index struct {
	near      float64
	multiply  [hashes]uint64 // odd
	offset    [hashes]uint64
	buckets   map[[2]uint64][]int // documents by band and its hash
	documents []document
}

// document is one that was kept: its sequences' hashes, and its beginning for the report.
type document struct {
	shingles map[uint64]bool
	begins   string
}

func newIndex(near float64) *index {
	x := &index{near: near, buckets: make(map[[2]uint64][]int)}
	r := rand.New(rand.NewPCG(1, 2)) // fixed: what is found does not depend on a seed
	for i := range hashes {
		x.multiply[i], x.offset[i] = r.Uint64()|1, r.Uint64()
	}
	return x
}

// add keeps a document, unless one is there that it is like, whose beginning it returns.
func (x *index) add(words []string, text string) (like string, found bool) {
	shingles := shinglesOf(words)
	if len(shingles) == 0 {
		return "", false
	}
	keys := x.keys(shingles)
	compared := make(map[int]bool)
	for _, key := range keys {
		for _, i := range x.buckets[key] {
			if !compared[i] && jaccard(shingles, x.documents[i].shingles) >= x.near {
				return x.documents[i].begins, true
			}
			compared[i] = true
		}
	}
	for _, key := range keys {
		x.buckets[key] = append(x.buckets[key], len(x.documents))
	}
	x.documents = append(x.documents, document{shingles, snippet(text)})
	return "", false
}

// keys are the bands of a document's signature.
func (x *index) keys(shingles map[uint64]bool) [bands][2]uint64 {
	var least [hashes]uint64
	for i := range least {
		least[i] = ^uint64(0)
	}
	for s := range shingles {
		for i := range least {
			h := s*x.multiply[i] + x.offset[i]
			h ^= h >> 32
			h *= 0x9e3779b97f4a7c15
			least[i] = min(least[i], h)
		}
	}
	var keys [bands][2]uint64
	for band := range bands {
		h := fnv.New64a()
		for _, v := range least[band*rowsOfBand : (band+1)*rowsOfBand] {
			h.Write(binary.LittleEndian.AppendUint64(nil, v)) // never fails
		}
		keys[band] = [2]uint64{uint64(band), h.Sum64()}
	}
	return keys
}

// shinglesOf are the hashes of all sequences of five words.
func shinglesOf(words []string) map[uint64]bool {
	shingles := make(map[uint64]bool)
	for i := 0; i+shingleWords <= len(words); i++ {
		h := fnv.New64a()
		for _, w := range words[i : i+shingleWords] {
			h.Write([]byte(w)) // never fails
			h.Write([]byte{0})
		}
		shingles[h.Sum64()] = true
	}
	return shingles
}

// jaccard is the share of what two documents have in common of what they have together.
func jaccard(a, b map[uint64]bool) float64 {
	common := 0
	for s := range a {
		if b[s] {
			common++
		}
	}
	return float64(common) / float64(len(a)+len(b)-common)
}

// snippet is how a document begins.
func snippet(text string) string {
	const most = 160
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
