package dataset

import (
	"crypto/sha256"
	"encoding/binary"

	"tandem"
)

// Split divides items into those trained on and those held out, by the one rule [tandem.HeldOut] on
// the opening of each item's dialogue. Order is kept.
func Split[T any](items []T, opening func(T) string, share float64) (train, heldOut []T) {
	for _, item := range items {
		if tandem.HeldOut(opening(item), share) {
			heldOut = append(heldOut, item)
		} else {
			train = append(train, item)
		}
	}
	return train, heldOut
}

// Fold is the fold, 0 … folds−1, that a dialogue belongs to in cross-validation: dialogues that begin
// alike are in one fold, and two models validated by the same folds can be compared pair by pair.
func Fold(opening string, folds int) int {
	sum := sha256.Sum256([]byte("fold\x00" + opening))
	return int(binary.BigEndian.Uint64(sum[:8]) % uint64(folds))
}
