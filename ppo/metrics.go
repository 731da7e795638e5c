package ppo

// Stats is what one iteration measured. [Stats.Metrics] gives the figures under the names of TRL's
// PPOTrainer, which people's dashboards know (https://huggingface.co/docs/trl/ppo_trainer).
type Stats struct {
	Iteration int // from 1
	Episodes  int // answers sampled so far

	KL              float64 // k1 estimate, whatever the penalty's, of D_KL(π_θ ‖ π_0), the sum over an answer, in nats, mean over answers
	KLError         float64 // standard error of KL
	KLPerToken      float64 // the same for a token, mean over tokens
	KLCoefficient   float64 // β of the iteration
	AnswerEntropy   float64 // −ln π_θ of an answer, mean over answers
	NonScoreReward  float64 // −β·KL by the penalty's own estimator, mean over answers
	RLHFReward      float64 // Score + NonScoreReward
	Score           float64 // R_c with frozen statistics, not whitened, less penalties, mean over answers
	Uncertainty     float64 // deviation of R_c over an ensemble's members, mean over answers; 0 without an ensemble
	ApproxKL        float64 // ½·(ln π_new − ln π_old)², mean over the tokens of the minibatches that were looked at
	ClipFraction    float64 // share of tokens whose loss was the clipped one, as TRL counts
	Entropy         float64 // of π_θ, mean over tokens, in nats
	PolicyLoss      float64 // the clipped surrogate alone, without entropy bonus and language modelling
	PtxLoss         float64 // of the language modelling that is mixed in, without γ; 0 where nothing is
	ValueLoss       float64
	ValueClipShare  float64 // share of tokens whose value loss was the clipped one
	Ratio           float64 // π_new/π_old, mean over tokens
	RatioVariance   float64 // over the updates' minibatches
	FirstRatioError float64 // largest |π_new/π_old − 1| of the first minibatch: rounding, or sampler and update disagree
	Ended           int     // answers that ended in a stop token
	Length          float64 // tokens of an answer, mean
	PromptLength    float64 // tokens of its prompt, mean
	Distinct2       float64 // share of different pairs of tokens in the answers, see distinct2
	Repetition      float64 // share of an answer's runs of four tokens that stood in it before, see repetition
	LearningRate    float64
	PolicyGradNorm  float64 // before clipping, mean over updates
	CriticGradNorm  float64
	ExplainedValue  float64 // 1 − Var(returns − values)/Var(returns): explained variance of the critic

	SkippedMinibatches int // left out because the policy had moved beyond UpdateKLTarget

	Phases
}

// Metrics returns the iteration's figures by name.
func (s Stats) Metrics() map[string]float64 {
	m := map[string]float64{
		"objective/kl":               s.KL,
		"objective/kl_per_token":     s.KLPerToken,
		"objective/kl_coefficient":   s.KLCoefficient,
		"objective/entropy":          s.AnswerEntropy,
		"objective/non_score_reward": s.NonScoreReward,
		"objective/rlhf_reward":      s.RLHFReward,
		"objective/scores":           s.Score,
		"objective/uncertainty":      s.Uncertainty,
		"policy/approxkl_avg":        s.ApproxKL,
		"policy/clipfrac_avg":        s.ClipFraction,
		"policy/skipped_minibatches": float64(s.SkippedMinibatches),
		"policy/entropy_avg":         s.Entropy,
		"policy/grad_norm":           s.PolicyGradNorm,
		"loss/policy_avg":            s.PolicyLoss,
		"loss/value_avg":             s.ValueLoss,
		"val/clipfrac_avg":           s.ValueClipShare,
		"val/ratio":                  s.Ratio,
		"val/ratio_var":              s.RatioVariance,
		"val/first_ratio_error":      s.FirstRatioError,
		"val/num_eos_tokens":         float64(s.Ended),
		"val/explained_variance":     s.ExplainedValue,
		"val/grad_norm":              s.CriticGradNorm,
		"val/length":                 s.Length,
		"val/distinct_2":             s.Distinct2,
		"val/repetition":             s.Repetition,
		"lr":                         s.LearningRate,
		"episode":                    float64(s.Episodes),
	}
	s.Phases.metrics(m)
	if s.PtxLoss != 0 {
		m["loss/ptx_avg"] = s.PtxLoss
	}
	return m
}

// Evaluation is what the policy reached on the held-out questions.
type Evaluation struct {
	Iteration int     // updates so far; 0 is the policy that PPO started from
	Score     float64 // mean R_c, not whitened
	KL        float64 // mean KL of an answer, in nats
	Length    float64 // mean tokens of an answer
	Objective float64 // Score − β·KL: what early stopping follows
	Best      bool    // Objective was the highest so far

	SecondScore float64 // mean R_c by the judge that is not trained against
	Seconded    bool    // there is one
}

// Metrics returns the evaluation's figures by name.
func (e Evaluation) Metrics() map[string]float64 {
	m := map[string]float64{
		"eval/objective/scores": e.Score,
		"eval/objective/kl":     e.KL,
		"eval/val/length":       e.Length,
		"eval/objective":        e.Objective,
	}
	if e.Seconded {
		m["eval/objective/second_scores"] = e.SecondScore
	}
	return m
}

// Observer is told what a run measures; any function may be nil.
type Observer struct {
	Iteration  func(Stats)
	Evaluation func(Evaluation)
	Trouble    func(Trouble) // when it first shows, after the iteration or the evaluation that shows it
}

func (o Observer) troubles(found []Trouble) {
	if o.Trouble == nil {
		return
	}
	for _, t := range found {
		o.Trouble(t)
	}
}
