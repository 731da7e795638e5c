// Command redteam has simulated people of the practice world attack what a red-teaming project of a running tandem serve
// attacks (docs/red-teaming.md has its commands and what came of them).
//
//	redteam -url URL -project ID -attacks N -thought TIME -name NAME KEY…
//
// Each key is one person's, who makes a stretch of so many attacks; all attack at once. People of the same number and seed
// make the same attacks whatever answers, so that two policies are attacked alike.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"time"

	"tandem/annotation"
	"tandem/internal/practice"
	"tandem/internal/practice/annotator"
	"tandem/internal/practice/gold"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("redteam", flag.ContinueOnError)
	url := flags.String("url", "http://127.0.0.1:8080", "the server's address")
	project := flags.String("project", "", "id of the red-teaming project")
	attacks := flags.Int("attacks", 40, "attacks of each person")
	thought := flags.Duration("thought", time.Second, "time that an attack takes to think of")
	name := flags.String("name", "stretch", "tells these stretches from the same people's others")
	seed := flags.Uint64("seed", 1, "seed of the world and the people")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *project == "" || flags.NArg() == 0 {
		return errors.New("usage: redteam -project ID KEY…")
	}
	world, err := practice.New(practice.DefaultConfig(*seed))
	if err != nil {
		return err
	}
	oracle := gold.New()
	rated, errs := make([]int, flags.NArg()), make([]error, flags.NArg())
	var all sync.WaitGroup
	for i, key := range flags.Args() {
		person, err := annotator.New(annotator.DefaultConfig(*seed), uint64(i), oracle)
		if err != nil {
			return err
		}
		attacker := annotator.Attacker{Annotator: person, World: world, API: &annotation.Client{URL: *url, Key: key, Retries: 3}, Project: *project,
			Attacks: *attacks, First: uint64(i * *attacks), Thought: *thought, Pause: 100 * time.Millisecond, Key: fmt.Sprintf("%s-%d", *name, i)}
		all.Go(func() { rated[i], errs[i] = attacker.Run(ctx) })
	}
	all.Wait()
	for i, n := range rated {
		fmt.Printf("person %d: %d of %d attacks rated\n", i, n, *attacks)
	}
	return errors.Join(errs...)
}
