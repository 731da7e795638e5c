package dataset

import "tandem"

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
