package rewardmodel

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"tandem"
	"tandem/llama/chat"
	"tandem/llama/checkpoint"
	"tandem/statistics"
)

// Scalar is what a reward model says of one answer.
type Scalar struct {
	// R is the raw scalar r; of an ensemble, the mean over its members.
	R float64
	// Uncertainty is the deviation over an ensemble's members in the unit of R, 0 for a single model; see Model.
	Uncertainty float64
}

// Model is a reward model as it stands in its folder: one model, or an ensemble of several that were fitted alike by
// different seeds, whose disagreement tells where none of them should be trusted (Coste et al. 2023,
// https://arxiv.org/abs/2310.02743). Any number of goroutines may use it; a scalar never depends on what it was
// computed with.
//
// The raw scalar of an ensemble is the mean of its members' r_i, and everything that is fitted to raw scalars is
// fitted to that mean and stands with the ensemble: normalisation, gate, temperature (a choice). The gate and the
// score are then those of one model, whatever is behind it; gates of members would have to vote, and members that
// were normalised one by one have a mean whose deviation is below 1, the more so the more they disagree.
//
// The ranking loss leaves the zero of each r_i free, so that what members differ by on average says nothing: their
// uncertainty is the deviation of r_i − m_i, with m_i the mean of the member over the reference samples that the
// ensemble is calibrated on. It is divided by n, not n − 1, as in the paper. Divided by the ensemble's own deviation
// it is in the unit of the combined score, which is the mean of (r_i − m_i) / deviation over members. Before the
// ensemble is calibrated it is the plain deviation of r_i.
type Model struct {
	// Path is the folder.
	Path string
	// Lineage is its tandem.json; nil for a model that tandem has not made.
	Lineage *tandem.Model
	// Members are the models that score: one, or those of an ensemble. They read the same tokens.
	Members []*chat.Classifier

	offsets []float64 // m_i
}

// Open loads a reward model from its folder. An ensemble's tandem.json lists the folders of its members, which lie
// inside; one that judges another aspect, or reads a text otherwise than the first, is refused.
func Open(ctx context.Context, path string, c chat.Config) (*Model, error) {
	lineage, err := checkpoint.ReadLineage(ctx, path)
	if err != nil {
		return nil, err
	}
	if lineage == nil || len(lineage.Ensemble) == 0 {
		one, err := chat.OpenClassifier(ctx, path, c)
		if err != nil {
			return nil, err
		}
		return &Model{Path: path, Lineage: one.Model.Lineage, Members: []*chat.Classifier{one}, offsets: []float64{0}}, nil
	}
	m := &Model{Path: path, Lineage: lineage}
	for _, name := range lineage.Ensemble {
		folder, err := MemberFolder(*lineage, name)
		if err != nil {
			return nil, err
		}
		member, err := chat.OpenClassifier(ctx, folder, c)
		if err != nil {
			return nil, fmt.Errorf("member %s of %s: %w", name, path, err)
		}
		m.Members = append(m.Members, member)
		if err := m.fits(name, member); err != nil {
			return nil, err
		}
	}
	m.center()
	return m, nil
}

// MemberFolder is where a member of an ensemble lies whose lineage was read from its folder.
func MemberFolder(ensemble tandem.Model, name string) (string, error) {
	if !filepath.IsLocal(name) || filepath.Clean(name) == "." {
		return "", tandem.Errorf(tandem.Invalid, "rewardmodel.Open", "%s lists the member %q, which lies outside of it", ensemble.URL, name)
	}
	return filepath.Join(ensemble.URL, name), nil
}

// fits reports why a member cannot score beside the first.
func (m *Model) fits(name string, member *chat.Classifier) error {
	first, l := m.Members[0], member.Model.Lineage
	refuse := func(format string, args ...any) error {
		return tandem.Errorf(tandem.Invalid, "rewardmodel.Open", "member %s of the ensemble %s %s", name, m.Path, fmt.Sprintf(format, args...))
	}
	switch {
	case l == nil:
		return refuse("has no tandem.json that says what it judges")
	case l.Kind != m.Lineage.Kind:
		return refuse("is a %s model; the ensemble judges %s", l.Kind, m.Lineage.Kind)
	case !Alike(first, member):
		return refuse("has another tokenizer or chat template than %s", m.Lineage.Ensemble[0])
	case member.Weights.Config.MaxPositionEmbeddings != first.Weights.Config.MaxPositionEmbeddings:
		return refuse("has a context of %d tokens, %s one of %d", member.Weights.Config.MaxPositionEmbeddings, m.Lineage.Ensemble[0], first.Weights.Config.MaxPositionEmbeddings)
	}
	return nil
}

// Alike reports whether two models render every text to the same tokens.
func Alike(a, b *chat.Classifier) bool {
	return a.Template.Source() == b.Template.Source() && slices.Equal(a.Template.Stops(), b.Template.Stops()) &&
		maps.EqualFunc(a.Tokenizer.Files(), b.Tokenizer.Files(), bytes.Equal)
}

// center reads the m_i, which stand with the members of a calibrated ensemble.
func (m *Model) center() {
	m.offsets = make([]float64, len(m.Members))
	if m.Lineage.Calibration == nil {
		return
	}
	for i, member := range m.Members {
		if c := member.Model.Lineage.Calibration; c != nil {
			m.offsets[i] = c.Mean
		}
	}
}

// IsEnsemble says whether there is a disagreement to speak of.
func (m *Model) IsEnsemble() bool { return len(m.Members) > 1 }

// First is the member that renders texts, and that others take a trunk or a head for prompts from.
func (m *Model) First() *chat.Classifier { return m.Members[0] }

// Context is how many tokens the model can take.
func (m *Model) Context() int { return m.First().Weights.Config.MaxPositionEmbeddings }

// TokenScalars returns the scalar of each dialogue or text that First().Template rendered, none longer than the context.
func (m *Model) TokenScalars(ctx context.Context, sequences [][]int32) ([]Scalar, error) {
	scalars, _, err := m.ScalarsAndSummaries(ctx, sequences, make([]int, len(sequences)))
	return scalars, err
}

// ScalarsAndSummaries is TokenScalars and, of the same pass, what the first member's trunk makes of the first lengths[i]
// tokens of each, which a PromptHead reads where they are a prompt; nil where that is 0.
func (m *Model) ScalarsAndSummaries(ctx context.Context, sequences [][]int32, lengths []int) ([]Scalar, [][]float32, error) {
	each, summaries, err := m.each(ctx, sequences, lengths)
	if err != nil {
		return nil, nil, err
	}
	scalars := make([]Scalar, len(sequences))
	said := make([]float64, len(m.Members))
	for i := range scalars {
		for j := range m.Members {
			said[j] = float64(each[j][i])
		}
		scalars[i] = scalarOf(said, m.offsets)
	}
	return scalars, summaries, nil
}

// scalarOf is what members say together; r is rounded to float32, as a single model's scalar is.
func scalarOf(said, offsets []float64) Scalar {
	mean, _ := statistics.Moments(said)
	if len(said) == 1 {
		return Scalar{R: mean}
	}
	centred := make([]float64, len(said))
	for i, r := range said {
		centred[i] = r - offsets[i]
	}
	_, deviation := statistics.Moments(centred)
	return Scalar{R: float64(float32(mean)), Uncertainty: deviation}
}

// Each returns what every member says of tokens, by member.
func (m *Model) Each(ctx context.Context, sequences [][]int32) ([][]float32, error) {
	each, _, err := m.each(ctx, sequences, make([]int, len(sequences)))
	return each, err
}

// each is Each, with the first member's summaries of the first lengths[i] tokens.
func (m *Model) each(ctx context.Context, sequences [][]int32, lengths []int) (each [][]float32, summaries [][]float32, err error) {
	each = make([][]float32, len(m.Members))
	for i, member := range m.Members {
		if i == 0 {
			each[i], summaries, err = member.TokenScoresAndSummaries(ctx, sequences, lengths)
		} else {
			each[i], err = member.TokenScores(ctx, sequences)
		}
		if err != nil {
			if m.IsEnsemble() {
				err = fmt.Errorf("member %s: %w", m.Lineage.Ensemble[i], err)
			}
			return nil, nil, err
		}
	}
	return each, summaries, nil
}

// Mean is the raw scalar of the k-th text, of what every member says of all, by member.
func Mean(each [][]float32, k int) float64 {
	said := make([]float64, len(each))
	for i := range each {
		said[i] = float64(each[i][k])
	}
	return scalarOf(said, make([]float64, len(said))).R
}

// Scalars returns the scalar of each dialogue, which ends with an assistant message. Dialogues longer than the context
// lose tokens on their left; cut counts them all.
func (m *Model) Scalars(ctx context.Context, dialogues []tandem.Dialogue) (scalars []Scalar, cut int, err error) {
	sequences, cut, err := m.First().Render(ctx, dialogues)
	if err != nil {
		return nil, 0, err
	}
	scalars, err = m.TokenScalars(ctx, sequences)
	return scalars, cut, err
}

// TextScalars is Scalars for texts that a template rendered already.
func (m *Model) TextScalars(ctx context.Context, texts []string) (scalars []Scalar, cut int, err error) {
	sequences, cut, err := m.First().RenderTexts(texts)
	if err != nil {
		return nil, 0, err
	}
	scalars, err = m.TokenScalars(ctx, sequences)
	return scalars, cut, err
}

// Scores is Scalars without the uncertainty, for what measures a judge.
func (m *Model) Scores(ctx context.Context, dialogues []tandem.Dialogue) (scores []float32, cut int, err error) {
	scalars, cut, err := m.Scalars(ctx, dialogues)
	scores = make([]float32, len(scalars))
	for i, s := range scalars {
		scores[i] = float32(s.R)
	}
	return scores, cut, err
}
