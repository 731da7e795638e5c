package harness

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tandem"
	"tandem/dataset"
)

// record is one object of a file, or one row of a CSV file.
type record struct {
	place string // "arc.jsonl:17"
	file  string // its base name without its extensions
	json  json.RawMessage
	row   []string // of a CSV file
	label string   // from a file of labels beside it; else empty
}

// decode fills v with a record's fields, of which v need not have all.
func (r record) decode(v any) error {
	if r.json == nil {
		return r.errorf("it is a row of a CSV file, and this task is read from JSON")
	}
	if err := json.Unmarshal(r.json, v); err != nil {
		return r.errorf("%w", err)
	}
	return nil
}

func (r record) errorf(format string, args ...any) error {
	return tandem.Errorf(tandem.Invalid, op, "%s: %w", r.place, fmt.Errorf(format, args...))
}

// extensions of files that a folder is searched for.
var extensions = []string{".jsonl", ".json", ".csv", ".jsonl.gz", ".json.gz", ".csv.gz"}

func extension(path string) string {
	for _, e := range extensions {
		if strings.HasSuffix(path, e) {
			return e
		}
	}
	return filepath.Ext(path)
}

// readRecords reads files, and of folders all files that lie there, by name. A file is JSON Lines, a JSON array, or CSV where it
// is called so, and may be compressed by gzip.
func readRecords(paths []string) ([]record, error) {
	var records []record
	for _, path := range paths {
		files, err := filesOf(path)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			read, err := readFile(file)
			if err != nil {
				return nil, err
			}
			records = append(records, read...)
		}
	}
	if len(records) == 0 {
		return nil, tandem.Errorf(tandem.Invalid, op, "there are no questions in %s", strings.Join(paths, ", "))
	}
	return records, nil
}

func filesOf(path string) ([]string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, tandem.Errorf(tandem.NotFound, op, "%s: no such file or folder", path)
	}
	if err != nil {
		return nil, tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	var files []string
	for _, e := range entries {
		if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") && slices.Contains(extensions, extension(e.Name())) {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	if len(files) == 0 {
		return nil, tandem.Errorf(tandem.NotFound, op, "the folder %s holds no file of the kinds %s", path, strings.Join(extensions, ", "))
	}
	return files, nil
}

func readFile(path string) ([]record, error) {
	f, err := dataset.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	name := filepath.Base(path)
	stem := strings.TrimSuffix(name, extension(name))
	if strings.HasPrefix(extension(name), ".csv") {
		return rows(f, name, stem)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, tandem.Errorf(tandem.Corrupt, op, "%s: %w", path, err)
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	form := lines
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("[")) {
		form = array
	}
	records, err := form(text, name, stem)
	if err != nil {
		return nil, err
	}
	return records, addLabels(records, filepath.Join(filepath.Dir(path), stem+"-labels.lst"))
}

// addLabels gives the records of NAME.jsonl the labels of NAME-labels.lst, one a line, where that lies beside it.
func addLabels(records []record, path string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	labels := strings.Fields(string(text))
	if len(labels) != len(records) {
		return tandem.Errorf(tandem.Invalid, op, "%s has %d labels for %d questions", path, len(labels), len(records))
	}
	for i := range records {
		records[i].label = labels[i]
	}
	return nil
}

// rows reads CSV.
func rows(r io.Reader, name, stem string) (records []record, err error) {
	reader := csv.NewReader(r)
	reader.FieldsPerRecord = -1 // who reads the rows knows how many
	for {
		row, err := reader.Read()
		if err == io.EOF {
			return records, nil
		}
		line, _ := reader.FieldPos(0)
		if err != nil {
			return nil, tandem.Errorf(tandem.Invalid, op, "%s: %w", name, err)
		}
		records = append(records, record{place: fmt.Sprintf("%s:%d", name, line), file: stem, row: row})
	}
}

// array reads a JSON array of objects.
func array(text []byte, name, stem string) ([]record, error) {
	var objects []json.RawMessage
	if err := json.Unmarshal(text, &objects); err != nil {
		return nil, tandem.Errorf(tandem.Invalid, op, "%s: %w", name, err)
	}
	records := make([]record, len(objects))
	for i, o := range objects {
		records[i] = record{place: fmt.Sprintf("%s: record %d", name, i+1), file: stem, json: o}
	}
	return records, nil
}

// lines reads JSON Lines.
func lines(text []byte, name, stem string) (records []record, err error) {
	scanner := bufio.NewScanner(bytes.NewReader(text))
	scanner.Buffer(nil, dataset.DefaultMaxLine)
	for number := 1; scanner.Scan(); number++ {
		if line := bytes.TrimSpace(scanner.Bytes()); len(line) > 0 {
			records = append(records, record{place: fmt.Sprintf("%s:%d", name, number), file: stem, json: bytes.Clone(line)})
		}
	}
	if err := scanner.Err(); err != nil {
		return nil, tandem.Errorf(tandem.Invalid, op, "%s: %w", name, err)
	}
	return records, nil
}

// index is an answer that files write as a number or as text: 2, "2" or "C".
type index struct {
	text   string
	number bool
}

func (a *index) UnmarshalJSON(text []byte) error {
	var s string
	if json.Unmarshal(text, &s) == nil {
		*a = index{text: s}
		return nil
	}
	var n int
	if err := json.Unmarshal(text, &n); err != nil {
		return fmt.Errorf("%s is neither a whole number nor text", text)
	}
	*a = index{text: fmt.Sprint(n), number: true}
	return nil
}

// at is the place of the choice that is meant: a number counts from first, and so does text of digits; a letter counts from A.
func (a index) at(choices, first int) (int, error) {
	i := -1
	var n int
	if _, err := fmt.Sscanf(a.text, "%d", &n); err == nil && fmt.Sprint(n) == a.text {
		i = n - first
	} else if len(a.text) == 1 {
		switch c := a.text[0]; {
		case c >= 'A' && c <= 'Z':
			i = int(c - 'A')
		case c >= 'a' && c <= 'z':
			i = int(c - 'a')
		}
	}
	if i < 0 || i >= choices {
		return 0, fmt.Errorf("the answer %q is none of the %d choices", a.text, choices)
	}
	return i, nil
}

// answers are one index or a list of them.
type answers []index

func (a *answers) UnmarshalJSON(text []byte) error {
	var list []index
	if json.Unmarshal(text, &list) == nil {
		*a = list
		return nil
	}
	var one index
	if err := json.Unmarshal(text, &one); err != nil {
		return err
	}
	*a = answers{one}
	return nil
}
