package harness

import (
	"strings"
)

// mmlu reads MMLU (https://arxiv.org/abs/2009.03300): rows of question, A, B, C, D and the answer's letter in a file for each
// subject, or Hugging Face's {"question", "subject", "choices", "answer"}. The model is given the four choices and asked for a
// letter.
func mmlu(r record) (Question, error) {
	m := struct {
		Question, Subject string
		Choices           []string
		Answer            *index
	}{Subject: subjectOf(r.file)}
	if r.row != nil {
		if len(r.row) != 6 {
			return Question{}, r.errorf("it has %d columns, and MMLU's rows are question, A, B, C, D and the answer's letter", len(r.row))
		}
		m.Question, m.Choices, m.Answer = r.row[0], r.row[1:5], &index{text: strings.TrimSpace(r.row[5])}
	} else if err := r.decode(&m); err != nil {
		return Question{}, err
	}
	if len(m.Choices) != 4 || m.Answer == nil {
		return Question{}, r.errorf(`it has not 4 "choices" and an "answer"`)
	}
	q := Question{Subject: m.Subject}
	prompt := strings.TrimSpace(m.Question) + "\n"
	for i, choice := range m.Choices {
		prompt += letter(i) + ". " + choice + "\n"
		q.Choices = append(q.Choices, letter(i))
	}
	q.Prompt = prompt + "Answer:"
	return q, q.choose(r, *m.Answer, 0)
}

// head says whether a row names a CSV file's columns. MMLU's own files have no such row.
func (r record) head() bool {
	return len(r.row) == 6 && strings.EqualFold(r.row[0], "question") && strings.EqualFold(r.row[5], "answer")
}

// subjectOf is the subject of a file called anatomy_test.csv.
func subjectOf(file string) string {
	for _, split := range []string{"_test", "_dev", "_val", "_validation"} {
		file = strings.TrimSuffix(file, split)
	}
	return file
}

// description stands before MMLU's prompts.
func description(subject string) string {
	return "The following are multiple choice questions (with answers) about " + strings.ReplaceAll(subject, "_", " ") + ".\n\n"
}

// Category is one of the four groups of subjects that MMLU's figures are reported by (table 19).
type Category string

const (
	Humanities     Category = "humanities"
	STEM           Category = "STEM"
	SocialSciences Category = "social sciences"
	OtherSubjects  Category = "other"
)

// Categories lists them in the paper's order.
func Categories() []Category { return []Category{Humanities, STEM, SocialSciences, OtherSubjects} }

// CategoryOf is a subject's category, empty for a subject that is not MMLU's.
func CategoryOf(subject string) Category {
	for category, subjects := range map[Category]string{
		Humanities: "formal_logic high_school_european_history high_school_us_history high_school_world_history international_law " +
			"jurisprudence logical_fallacies moral_disputes moral_scenarios philosophy prehistory professional_law world_religions",
		STEM: "abstract_algebra anatomy astronomy college_biology college_chemistry college_computer_science college_mathematics " +
			"college_physics computer_security conceptual_physics electrical_engineering elementary_mathematics high_school_biology " +
			"high_school_chemistry high_school_computer_science high_school_mathematics high_school_physics high_school_statistics " +
			"machine_learning",
		SocialSciences: "econometrics high_school_geography high_school_government_and_politics high_school_macroeconomics " +
			"high_school_microeconomics high_school_psychology human_sexuality professional_psychology public_relations " +
			"security_studies sociology us_foreign_policy",
		OtherSubjects: "business_ethics clinical_knowledge college_medicine global_facts human_aging management marketing medical_genetics " +
			"miscellaneous nutrition professional_accounting professional_medicine virology",
	} {
		if strings.Contains(" "+subjects+" ", " "+subject+" ") {
			return category
		}
	}
	return ""
}
