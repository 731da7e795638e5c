package nn

// Batch is the integer data of one run: ragged sequences one after another. Positions restart at 0 with
// every sequence.
type Batch struct {
	Tokens  []int32 // [n], n ≤ N
	Targets []int32 // [n], the token each row predicts; −1 for none. Nil where no op asks for targets
	Offsets []int32 // [sequences + 1], where each sequence starts; the last is n
}

// Sequences counts the batch's sequences.
func (b Batch) Sequences() int { return max(len(b.Offsets)-1, 0) }
