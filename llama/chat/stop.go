package chat

import "strings"

// stopper finds stop texts in a stream of text. What may be the beginning of one is held back until it is
// clear that it is not.
type stopper struct {
	stops []string
	held  string
}

// newStopper drops empty stop texts, which would end everything.
func newStopper(stops []string) *stopper {
	s := &stopper{}
	for _, t := range stops {
		if t != "" {
			s.stops = append(s.stops, t)
		}
	}
	return s
}

// next takes more text and returns what may be shown. stopped is true once a stop text was found; it and
// what follows it are never shown.
func (s *stopper) next(text string) (show string, stopped bool) {
	text = s.held + text
	s.held = ""
	first := -1
	for _, stop := range s.stops {
		if i := strings.Index(text, stop); i >= 0 && (first < 0 || i < first) {
			first = i
		}
	}
	if first >= 0 {
		return text[:first], true
	}
	hold := 0
	for _, stop := range s.stops {
		for n := min(len(stop)-1, len(text)); n > hold; n-- {
			if strings.HasSuffix(text, stop[:n]) {
				hold = n
				break
			}
		}
	}
	s.held = text[len(text)-hold:]
	return text[:len(text)-hold], false
}

// flush returns what was held back at the end of the text.
func (s *stopper) flush() string {
	held := s.held
	s.held = ""
	return held
}
