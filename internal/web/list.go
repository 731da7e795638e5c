package web

// PathID is the input of an operation on one thing. (Inputs embed exported types: huma cannot fill others.)
type PathID struct {
	ID string `path:"id"`
}

// Cursor divides a list: each answer says where the next one goes on.
type Cursor struct {
	After string `query:"after" doc:"The cursor that the last page ended with; none for the first page."`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Items at most."`
}

// List is one page of a list.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty" doc:"The cursor of the next page; absent on the last."`
}

// ListOf makes a page. A full page has a next one, which may turn out to be empty.
func ListOf[T any](items []T, limit int, cursor func(T) string) List[T] {
	list := List[T]{Items: items}
	if list.Items == nil {
		list.Items = []T{}
	}
	if len(items) > 0 && len(items) >= limit {
		list.Next = cursor(items[len(items)-1])
	}
	return list
}
