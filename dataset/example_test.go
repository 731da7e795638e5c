package dataset_test

import (
	"fmt"
	"os"
	"strings"

	"tandem/dataset"
)

// Reads two pairs in Anthropic's form, of which one cannot be learnt from, and writes what is kept as
// another file in the same form.
func Example() {
	const file = `{"chosen":"\n\nHuman: Is it late?\n\nAssistant: It is noon.","rejected":"\n\nHuman: Is it late?\n\nAssistant: Yes."}
{"chosen":"\n\nHuman: Is it late?\n\nAssistant: No.","rejected":"\n\nHuman: Is it early?\n\nAssistant: No."}
`
	imp, err := dataset.NewImport(dataset.ImportConfig{Format: dataset.HH, As: dataset.AsHelpfulness})
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := dataset.NewWriter(os.Stdout, dataset.ExportConfig{Format: dataset.HH})
	if err != nil {
		fmt.Println(err)
		return
	}
	for comparison, err := range imp.Read("late.jsonl", strings.NewReader(file)) {
		if err != nil {
			fmt.Println(err)
			return
		}
		if err := out.Write(comparison); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := out.Close(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(imp.Report())
	// Output:
	// {"chosen":"\n\nHuman: Is it late?\n\nAssistant: It is noon.","rejected":"\n\nHuman: Is it late?\n\nAssistant: Yes."}
	// 2 records read, 1 comparisons kept, 1 left out as their prompts differ
}
