package ppo

// gae computes generalised advantage estimates of one answer (https://arxiv.org/abs/1506.02438, eq. 16):
//
//	δ_t = r_t + γ·V_{t+1} − V_t,   A_t = δ_t + γλ·A_{t+1},   return_t = A_t + V_t.
//
// rewards and values have one entry for each token of the answer, EOS included. The value after the last
// token is 0, whether the answer ended by itself or was cut.
func gae(rewards, values []float64, gamma, lambda float64) (advantages, returns []float64) {
	n := len(rewards)
	advantages, returns = make([]float64, n), make([]float64, n)
	var next, nextValue float64
	for t := n - 1; t >= 0; t-- {
		delta := rewards[t] + gamma*nextValue - values[t]
		next = delta + gamma*lambda*next
		advantages[t], returns[t] = next, next+values[t]
		nextValue = values[t]
	}
	return advantages, returns
}
