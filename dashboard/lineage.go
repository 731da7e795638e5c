package dashboard

import (
	"cmp"
	"slices"

	"tandem"
)

// Sizes of the picture of models, in its own coordinates.
const (
	nodeWidth, nodeHeight = 168, 44
	columnGap, rowGap     = 44, 14
	pictureMargin         = 6
	// nameRoom is how many letters of a name a node has room for.
	nameRoom = 22
)

// family is a picture of models, each beside the one that it was made from.
type family struct {
	Width, Height int
	Nodes         []familyNode // a parent stands before its children
	Edges         []familyEdge
	Roots         []*familyTree // the same for who sees no picture
}

// familyNode is a model in the picture.
type familyNode struct {
	tandem.Model
	X, Y    int
	Name    string // as much as there is room for
	Here    bool   // it is the page's
	Serving bool
}

// Tx, Ty1 and Ty2 are where its texts stand.
func (n familyNode) Tx() int  { return n.X + 10 }
func (n familyNode) Ty1() int { return n.Y + 18 }
func (n familyNode) Ty2() int { return n.Y + 35 }

// Size is a node's.
func (family) NodeWidth() int  { return nodeWidth }
func (family) NodeHeight() int { return nodeHeight }

// familyEdge leads from a parent's right side to a child's left one.
type familyEdge struct{ X1, Y1, X2, Y2, Xm int }

// familyTree is a model with those that were made from it.
type familyTree struct {
	familyNode
	Children []*familyTree
}

// familyOf draws models. here is the id of the page's model, serving holds those that serve.
func familyOf(models []tandem.Model, here string, serving map[string]bool) family {
	byID := make(map[string]*familyTree, len(models))
	for _, m := range models {
		name := []rune(m.Name)
		if len(name) > nameRoom {
			name = append(name[:nameRoom-1], '…')
		}
		byID[m.ID] = &familyTree{familyNode: familyNode{Model: m, Name: string(name), Here: m.ID == here, Serving: serving[m.ID]}}
	}
	var f family
	for _, t := range byID {
		if parent, ok := byID[t.Parent]; ok {
			parent.Children = append(parent.Children, t)
		} else {
			f.Roots = append(f.Roots, t)
		}
	}
	order := func(a, b *familyTree) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	}
	slices.SortFunc(f.Roots, order)
	row := 0
	// A node stands in the middle of its children, which take a row each where they have none.
	var place func(t *familyTree, column int)
	place = func(t *familyTree, column int) {
		slices.SortFunc(t.Children, order)
		t.X = pictureMargin + column*(nodeWidth+columnGap)
		at := len(f.Nodes)
		f.Nodes = append(f.Nodes, familyNode{})
		for _, child := range t.Children {
			place(child, column+1)
		}
		if n := len(t.Children); n > 0 {
			t.Y = (t.Children[0].Y + t.Children[n-1].Y) / 2
		} else {
			t.Y = pictureMargin + row*(nodeHeight+rowGap)
			row++
		}
		for _, child := range t.Children {
			f.Edges = append(f.Edges, familyEdge{t.X + nodeWidth, t.Y + nodeHeight/2, child.X, child.Y + nodeHeight/2, (t.X + nodeWidth + child.X) / 2})
		}
		f.Nodes[at] = t.familyNode
		f.Width = max(f.Width, t.X+nodeWidth+pictureMargin)
	}
	for _, root := range f.Roots {
		place(root, 0)
	}
	f.Height = pictureMargin*2 + row*(nodeHeight+rowGap) - rowGap
	return f
}
