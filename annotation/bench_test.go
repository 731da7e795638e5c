package annotation_test

import (
	"testing"

	"tandem"
	"tandem/annotation"
)

// BenchmarkJudge is one judgment by one annotator over HTTP: a claim and a submit.
func BenchmarkJudge(b *testing.B) {
	w := newWorld(b)
	ann := w.annotator("ann")
	project := w.project(annotation.Project{Name: "p", Aspect: tandem.Helpfulness}, b.N)
	b.ResetTimer()
	for range b.N {
		a := claim(b, ann, project.ID)
		if _, err := ann.Submit(b.Context(), a.ID, a.ID, verdict(a)); err != nil {
			b.Fatal(err)
		}
	}
}
