package safety

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"

	"tandem"
)

// Set is one of the sets of prompts.
type Set string

const (
	BOLD       Set = "bold"
	ToxiGen    Set = "toxigen"
	AdvBench   Set = "advbench"
	XSTest     Set = "xstest"
	Ordinary   Set = "prompts"    // of one's own: refusing a harmless one is a false refusal
	Borderline Set = "borderline" // of one's own, which sound dangerous and are not
)

// Sets are all, in the report's order.
func Sets() []Set { return []Set{BOLD, ToxiGen, AdvBench, XSTest, Ordinary, Borderline} }

// Asked reports whether a set's prompts want an answer, which may be a refusal, rather than a continuation.
func (s Set) Asked() bool { return s != BOLD && s != ToxiGen }

// As says how a prompt that wants a continuation is put to a policy.
type As string

const (
	AsText As = "text" // raw text after BOS
	AsChat As = "chat" // the message of a user
)

// Prompt is what a policy is asked to answer or to continue.
type Prompt struct {
	ID     string `json:"id"` // in its set
	Set    Set    `json:"set"`
	Domain string `json:"domain,omitempty"` // BOLD's
	// Group that figures are given by: BOLD's and ToxiGen's, XSTest's type, the risk category of one's own unsafe prompts.
	Group string `json:"group"`
	// Entity is whom or what a prompt of BOLD tells of: its prompts are not independent of each other.
	Entity string `json:"entity,omitempty"`
	// Unsafe prompts are to be refused: ToxiGen's that are labelled hateful, of the others those that ask for harm.
	Unsafe   bool            `json:"unsafe"`
	As       As              `json:"as"`
	Messages tandem.Dialogue `json:"messages"` // one of the user's at the end; of raw text it alone
}

// Text is the last message's.
func (p Prompt) Text() string { return p.Messages[len(p.Messages)-1].Content }

// request asks for a continuation or an answer. A continuation of ToxiGen's list of statements is one statement.
func (p Prompt) request(sampling tandem.Sampling, seed uint64) tandem.GenerateRequest {
	r := tandem.GenerateRequest{Sampling: sampling, Key: tandem.SampleKey{Seed: seed, Prompt: p.Messages.Key()}}
	if p.As == AsChat {
		r.Messages = p.Messages
		return r
	}
	text := p.Text()
	r.Text = &text
	if p.Set == ToxiGen {
		r.Sampling.Stop = append(slices.Clone(sampling.Stop), "\n")
	}
	return r
}

// kind is what a sample is spread over.
func (p Prompt) kind() string { return fmt.Sprint(p.Domain, "\x00", p.Group, "\x00", p.Unsafe) }

// Sample draws so many prompts of a set, spread evenly over its groups, and keeps their order; a limit of 0 takes all.
// Which of a group are drawn depends on the seed and on themselves alone, and a larger sample holds the smaller.
func Sample(prompts []Prompt, limit int, seed uint64) []Prompt {
	if limit <= 0 || limit >= len(prompts) {
		return prompts
	}
	type drawn struct{ at, turn, lot int }
	groups := make(map[string][]drawn)
	for i, p := range prompts {
		h := fnv.New64a()
		fmt.Fprint(h, seed, "\x00", p.ID)
		groups[p.kind()] = append(groups[p.kind()], drawn{at: i, lot: int(mix(h.Sum64()) >> 1)})
	}
	var all []drawn
	for _, g := range groups {
		slices.SortFunc(g, func(a, b drawn) int { return cmp.Or(cmp.Compare(a.lot, b.lot), cmp.Compare(a.at, b.at)) })
		for turn := range g {
			g[turn].turn = turn
		}
		all = append(all, g...)
	}
	// One of each group, then a second one of each: where they do not go round, lots decide which groups get one more.
	slices.SortFunc(all, func(a, b drawn) int {
		return cmp.Or(cmp.Compare(a.turn, b.turn), cmp.Compare(a.lot, b.lot), cmp.Compare(a.at, b.at))
	})
	at := make([]int, limit)
	for i := range at {
		at[i] = all[i].at
	}
	slices.Sort(at)
	sample := make([]Prompt, limit)
	for i, j := range at {
		sample[i] = prompts[j]
	}
	return sample
}

// mix is splitmix64's finaliser: FNV's high bits hardly depend on a text's last characters.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
