package practice

import (
	"context"
	"iter"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"tandem"
	"tandem/internal/practice/draw"
	"tandem/internal/practice/town"
)

// Writer answers in a model's place: by the grammar, with a quality that is drawn for each answer. It wants no
// training and no folder, so that live annotation can be tried where there is no model. It is a
// tandem.Generator.
type Writer struct {
	World *World
	// Quality holds the chances of a bad, a middling and a good answer at temperature 1. Another temperature T
	// makes p^(1/T) of each, as it does with a model's tokens.
	Quality [3]float64
	// Word is how long a word takes to write. Defaults to none.
	Word time.Duration
}

// Manners are what writers are called, the better one first.
func Manners() []string { return []string{"careful", "hasty"} }

// NewWriter returns the writer of a manner, who writes as fast as one reads.
func NewWriter(w *World, manner string) (Writer, error) {
	const op = "practice.NewWriter"
	quality, ok := map[string][3]float64{"careful": {0.1, 0.3, 0.6}, "hasty": {0.4, 0.4, 0.2}}[manner]
	if !ok {
		return Writer{}, tandem.Errorf(tandem.NotFound, op, "the practice world has no writer %q; there are %s", manner, strings.Join(Manners(), " and "))
	}
	return Writer{World: w, Quality: quality, Word: 60 * time.Millisecond}, nil
}

// Generate answers the requests one after the other, word by word; a word counts as a token.
func (w Writer) Generate(ctx context.Context, requests []tandem.GenerateRequest) iter.Seq2[tandem.Chunk, error] {
	return func(yield func(tandem.Chunk, error) bool) {
		for i, request := range requests {
			text, err := w.answer(request)
			if err != nil {
				yield(tandem.Chunk{Request: i}, err)
				return
			}
			for _, stop := range request.Sampling.Stop {
				text, _, _ = strings.Cut(text, stop)
			}
			words, finish := strings.SplitAfter(text, " "), tandem.FinishStop
			if most := request.Sampling.MaxTokens; most > 0 && len(words) > most {
				words, finish = words[:most], tandem.FinishLength
			}
			for at, word := range words {
				chunk := tandem.Chunk{Request: i, Text: word}
				if at == len(words)-1 {
					chunk.Finish = finish
				}
				if w.Word > 0 {
					select {
					case <-ctx.Done():
					case <-time.After(w.Word):
					}
				}
				if err := ctx.Err(); err != nil {
					yield(tandem.Chunk{Request: i}, err)
					return
				}
				if !yield(chunk, nil) {
					return
				}
			}
		}
	}
}

func (w Writer) answer(request tandem.GenerateRequest) (string, error) {
	if request.Text != nil {
		return "", tandem.Errorf(tandem.Unsupported, "practice.Writer", "a writer answers messages, not raw text")
	}
	r := draw.New(w.World.config.Seed, drawWriter, request.Key.Seed, request.Key.Prompt, request.Key.Sample)
	quality := w.quality(r, request.Sampling.Temperature)
	if _, known := w.World.town.Parse(request.Messages); known {
		return w.World.Answer(request.Messages, quality, r.Uint64())
	}
	return w.World.astray(r, quality), nil
}

// quality draws what an answer aims at; at temperature 0 it is the likeliest.
func (w Writer) quality(r *rand.Rand, temperature float64) Quality {
	best := Bad
	for q := range w.Quality {
		if w.Quality[q] > w.Quality[best] {
			best = Quality(q)
		}
	}
	if temperature <= 0 {
		return best
	}
	var weights [3]float64
	for q, p := range w.Quality {
		weights[q] = math.Pow(p/w.Quality[best], 1/temperature) // the best one's stays 1, however cold it is
	}
	return Quality(draw.Weighted(r, weights[:]...))
}

// astray answers what the town knows nothing of: with what can be asked, with a plain "I do not know that", or, at
// worst, with the answer to another question.
func (w *World) astray(r *rand.Rand, quality Quality) string {
	family := draw.Pick(r, []Family{town.FactFamily, town.ListFamily, town.HowToFamily})
	question := draw.Pick(r, w.town.Questions(family))
	switch quality {
	case Bad:
		return w.decorate(r, w.content(r, question.Task, Good), Bad, 0)
	case Middling:
		return w.decorate(r, town.Ignorance, Middling, 0)
	}
	return w.decorate(r, town.Ignorance+" I only know this town. You can ask me: "+question.Text, Good, 0)
}
