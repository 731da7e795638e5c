package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

const width = 118 // of a line

// explainer writes a configuration's fields with their documentation.
type explainer struct {
	root string
	docs map[string]map[string]string // of packages' folders: documentation by "Type.Field"
	text strings.Builder
}

// object writes the fields of a struct, each under its name in JSON.
func (e *explainer) object(config any, indent string) error {
	v := reflect.ValueOf(config)
	t := v.Type()
	docs, err := e.fields(t)
	if err != nil {
		return err
	}
	for i := range t.NumField() {
		if t.Field(i).Anonymous { // its fields stand beside the others
			if err := e.object(v.Field(i).Interface(), indent); err != nil {
				return err
			}
			continue
		}
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		if name == "" {
			name = t.Field(i).Name
		}
		doc := docs[t.Name()+"."+t.Field(i).Name]
		value := v.Field(i)
		nested := value.Kind() == reflect.Struct && !value.Type().Implements(reflect.TypeFor[json.Marshaler]())
		if doc == "" && !nested {
			return fmt.Errorf("%s.%s is not documented", t, t.Field(i).Name)
		}
		e.text.WriteByte('\n')
		printer := comment.Printer{TextPrefix: indent + "# ", TextWidth: width - len(indent)}
		e.text.Write(printer.Text(new(comment.Parser).Parse(doc)))
		if nested {
			e.text.WriteString(indent + name + ":\n")
			if err := e.object(value.Interface(), indent+"  "); err != nil {
				return err
			}
			continue
		}
		text, err := json.Marshal(value.Interface())
		if err != nil {
			return err
		}
		mark := ""
		if strings.Contains(options, "omitempty") && value.IsZero() { // off, and in no lineage
			mark = "# "
		}
		fmt.Fprintf(&e.text, "%s%s%s: %s\n", indent, mark, name, text)
	}
	return nil
}

// fields is the documentation of a type's package.
func (e *explainer) fields(t reflect.Type) (map[string]string, error) {
	folder := filepath.Join(e.root, filepath.FromSlash(strings.TrimPrefix(t.PkgPath(), "tandem/")))
	if docs, ok := e.docs[folder]; ok {
		return docs, nil
	}
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return nil, err
	}
	docs := make(map[string]string)
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range s.Fields.List {
					for _, n := range f.Names {
						docs[spec.Name.Name+"."+n.Name] = f.Doc.Text() + f.Comment.Text()
					}
				}
			}
			return false
		})
	}
	e.docs[folder] = docs
	return docs, nil
}
