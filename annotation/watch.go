package annotation

import "sync"

// watched is what is written at this moment, and who watches it.
type watched struct {
	mutex sync.Mutex
	turns map[string]*watchedTurn
}

// watchedTurn is a turn with an answer under way here, or with somebody who watches it.
type watchedTurn struct {
	writing  [2]bool
	texts    [2][]byte
	changes  int // of what the database says of the turn, as far as this server knows
	watchers map[chan struct{}]bool
}

func newWatched() *watched { return &watched{turns: make(map[string]*watchedTurn)} }

// change changes a turn, tells those who watch it, and forgets it when nobody has to do with it any more.
func (w *watched) change(turn string, how func(*watchedTurn)) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	t := w.turns[turn]
	if t == nil {
		t = &watchedTurn{watchers: make(map[chan struct{}]bool)}
		w.turns[turn] = t
	}
	how(t)
	for watcher := range t.watchers {
		select {
		case watcher <- struct{}{}:
		default: // it was told already
		}
	}
	if !t.writing[0] && !t.writing[1] && len(t.watchers) == 0 {
		delete(w.turns, turn)
	}
}

// begin, add and end follow the writing of an answer, which is number 1 or 2.
func (w *watched) begin(turn string, number int) {
	w.change(turn, func(t *watchedTurn) {
		t.writing[number-1], t.texts[number-1] = true, nil
		t.changes++
	})
}

func (w *watched) add(turn string, number int, text string) {
	w.change(turn, func(t *watchedTurn) { t.texts[number-1] = append(t.texts[number-1], text...) })
}

func (w *watched) end(turn string, number int) {
	w.change(turn, func(t *watchedTurn) {
		t.writing[number-1], t.texts[number-1] = false, nil
		t.changes++
	})
}

// changed tells those who watch a turn that the database knows more of it.
func (w *watched) changed(turn string) {
	w.change(turn, func(t *watchedTurn) { t.changes++ })
}

// read is what is written of a turn's answers so far, and how often the turn has changed otherwise.
func (w *watched) read(turn string) (texts [2]string, changes int) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if t := w.turns[turn]; t != nil {
		return [2]string{string(t.texts[0]), string(t.texts[1])}, t.changes
	}
	return texts, 0
}

// watch returns a channel that says when there is something new to read, until stop is called.
func (w *watched) watch(turn string) (news <-chan struct{}, stop func()) {
	watcher := make(chan struct{}, 1)
	w.change(turn, func(t *watchedTurn) { t.watchers[watcher] = true })
	return watcher, func() {
		w.change(turn, func(t *watchedTurn) { delete(t.watchers, watcher) })
	}
}
