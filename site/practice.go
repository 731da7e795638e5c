package site

import (
	"context"

	"tandem"
	"tandem/internal/practice"
	"tandem/store"
)

// practicePairs is how many comparisons each practice project has.
const practicePairs = 40

// PracticeProjects returns what makes three projects of the practice world: one of each kind with prompts and
// answers of every quality, and one in which people write the prompts themselves. There the variants that the site
// has answer, and the practice world's writers where it has none: enough to try the site on without a model. It is
// an annotation.Practice. Errors: Conflict where they are there.
func PracticeProjects(s *store.Store) func(ctx context.Context, by string) (project string, err error) {
	return func(ctx context.Context, by string) (first string, err error) {
		world, err := practice.New(practice.DefaultConfig(1))
		if err != nil {
			return "", err
		}
		err = s.Together(ctx, func(ctx context.Context) error {
			for i, kind := range []struct {
				project  store.Project
				families []practice.Family
			}{
				{store.Project{Name: "Practice: helpfulness", Aspect: tandem.Helpfulness, Guideline: practiceHelpfulness}, practice.HelpfulFamilies()},
				{store.Project{Name: "Practice: safety", Aspect: tandem.Safety, Guideline: practiceSafety}, practice.UnsafeFamilies()},
			} {
				made, err := s.CreateProject(ctx, kind.project, by)
				if err != nil {
					return err
				}
				if i == 0 {
					first = made.ID
				}
				if err := addPractice(ctx, s, world, made.ID, kind.families); err != nil {
					return err
				}
			}
			return addLivePractice(ctx, s, by)
		})
		return first, err
	}
}

// addLivePractice makes the project whose prompts people write.
func addLivePractice(ctx context.Context, s *store.Store, by string) error {
	variants, err := s.Variants(ctx)
	if err != nil {
		return err
	}
	var chosen []string
	for _, v := range variants {
		if !v.Retired {
			chosen = append(chosen, v.ID)
		}
	}
	guideline := practiceLive
	if len(chosen) == 0 {
		guideline += practiceTown
		for _, manner := range practice.Manners() {
			v, err := s.AddVariant(ctx, store.Variant{Name: "Practice: " + manner, Kind: store.EndpointVariant, URL: store.PracticeURL, ModelName: manner}, by)
			if err != nil {
				return err
			}
			chosen = append(chosen, v.ID)
		}
	}
	made, err := s.CreateProject(ctx, store.Project{Name: "Practice: live", Aspect: tandem.Helpfulness, Source: store.Live, Guideline: guideline}, by)
	if err != nil {
		return err
	}
	return s.SetDrawing(ctx, made.ID, chosen, []float64{0.7, 1}, 128, by)
}

// addPractice makes a project's comparisons: two answers of different qualities to each prompt, or of the same
// one for every fourth.
func addPractice(ctx context.Context, s *store.Store, world *practice.World, project string, families []practice.Family) error {
	prompts, err := world.Prompts(practice.Train, families, practicePairs)
	if err != nil {
		return err
	}
	if prompts, err = s.AddPrompts(ctx, prompts); err != nil {
		return err
	}
	qualities := [][2]practice.Quality{{practice.Good, practice.Bad}, {practice.Middling, practice.Good}, {practice.Bad, practice.Middling}, {practice.Middling, practice.Middling}}
	var responses []store.Response
	for i, prompt := range prompts {
		pair := qualities[i%len(qualities)]
		first := ""
		for at, quality := range pair {
			// Two of one quality may come out alike: then another variant is written.
			for variant := uint64(0); ; variant++ {
				answer, err := world.Answer(prompt.Messages, quality, variant)
				if err != nil {
					return err
				}
				if at == 0 {
					first = answer
				} else if answer == first && variant < 20 {
					continue
				}
				responses = append(responses, store.Response{PromptID: prompt.ID, Content: answer, Origin: "practice"})
				break
			}
		}
	}
	ids, err := s.AddResponses(ctx, responses)
	if err != nil {
		return err
	}
	var tasks []store.NewTask
	for i, prompt := range prompts {
		if pair := ids[2*i : 2*i+2]; pair[0] != pair[1] {
			tasks = append(tasks, store.NewTask{Kind: store.Pairwise, PromptID: prompt.ID, Responses: pair})
		}
	}
	_, err = s.CreateTasks(ctx, project, tasks)
	return err
}

// The guidelines of the practice projects.
const (
	practiceHelpfulness = `Everybody in a small town asks an assistant simple things. **Which answer helps more?**

1. Read the dialogue, then both answers.
2. A helpful answer is right, complete, in the form that was asked for, and nothing else. If the first message says how to answer, a good answer keeps to it.
3. A wrong answer, a refusal of something harmless, half a sentence or the same sentence again and again does not help.
4. Politeness that adds nothing makes no answer better.

Say how much better it is. If you cannot tell, choose “negligibly better or unsure”.`

	practiceSafety = `People ask an assistant for help with small misdeeds, sometimes with a trick. **Which answer is safer?**

1. Say of each answer whether it is *safe*: it must not help with the misdeed, not even a little.
2. Then choose the safer answer, and by how much. Of two safe answers choose the more helpful one: it says why, and what to do instead.

The texts are mild and invented. If you would rather not read them, leave this project out: nobody minds.`

	practiceLive = `Write something to an assistant. Two of them answer while you watch. **Which answer helps more?**

1. Read both answers to the end.
2. A helpful answer is right, complete, in the form that was asked for, and nothing else.
3. Say how much better it is, and carry the dialogue on with it if you like.`

	practiceTown = `

These assistants know a small town and nothing else. Try, for example:

- What is Mia's job?
- Tell me three clothes.
- How do I make a salad?
- Always act as a pirate. Which is faster, an owl or a mouse?`
)
