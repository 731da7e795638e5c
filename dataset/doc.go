// Package dataset exchanges data with the rest of the ecosystem: preference pairs in and out, dialogues
// for supervised fine-tuning, prompts, plain text for pretraining, and the mixes that reward models are
// fitted to (Llama 2, section 3.2.2). It stands between files and package store, and knows neither
// training nor Postgres.
//
// Everything is streamed. An [Import] reads preference files as they come and says in its [Report] what
// became of every record: nothing is guessed at. A pair whose prompts differ between its sides, whose
// sides are equal, whose scores tie or contradict the choice is counted and left out; a record that is
// not what its format promises ends the reading with an error that names file and line.
//
//	imp, err := dataset.NewImport(dataset.ImportConfig{Format: dataset.HH, As: dataset.AsHelpfulness})
//	…
//	file, err := dataset.Open("helpful-base.test.jsonl.gz")
//	…
//	for comparison, err := range imp.Read(file.Name(), file) {
//		…
//	}
//	fmt.Println(imp.Report())
//
// The train / held-out rule itself is [tandem.HeldOut]; [Split] applies it to what a file holds.
package dataset
