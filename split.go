package tandem

import (
	"crypto/sha256"
	"encoding/binary"
)

// HeldOutShare is the share of openings that the store holds out unless told otherwise. [choice]
const HeldOutShare = 0.2

// HeldOut reports whether dialogues that begin with opening (see [Dialogue.Opening]) are held out from
// training when share of all openings, 0 to 1, is. It is the one train / held-out rule: a pure function
// of the opening, so that pretraining, tokenizers, supervised fine-tuning, reward models, PPO prompts
// and evaluation agree on it without a table, and pairs of one conversation never stand on both sides.
//
// The first 53 bits of the opening's SHA-256, read as a fraction in [0, 1), are compared with share;
// an opening held out at one share is therefore held out at every larger one.
func HeldOut(opening string, share float64) bool {
	sum := sha256.Sum256([]byte(opening))
	fraction := float64(binary.BigEndian.Uint64(sum[:8])>>11) / (1 << 53)
	return fraction < share
}

// ForSecondJudges reports whether comparisons that begin with opening are for a second pair of reward models, which is to
// judge what the first pair has led to, when share of all openings, 0 to 1, is. It is the same rule over another
// hash: neither split says anything of the other, and no comparison of an opening goes to both pairs, in whichever round.
func ForSecondJudges(opening string, share float64) bool {
	return HeldOut("second judges\n"+opening, share)
}
