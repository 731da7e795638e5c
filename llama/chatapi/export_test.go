package chatapi

import "tandem/llama"

// WeightsOf are the weights of the policy that serves, for tests that break them.
func WeightsOf(s *Serving) *llama.Weights {
	p, _ := s.served.Get()
	return p.chat.Weights
}
