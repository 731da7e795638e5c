// Package load is a crowd of simulated annotators, as fast as they are wanted, and what it takes to measure
// the annotation site with them: a project of any size ([MakeProject]), people who are signed in
// ([MakePeople]), their work over HTTP ([Run]), the check that every judgment that was acknowledged is in
// the database once ([Check]), and the operations at two sizes side by side ([Flat]). Programs that ask for scores are
// another crowd ([Scores]).
//
// The crowd comes through the doors that browsers use: every annotator has a connection of their own, a
// session's cookie, and the headers by which the site tells its own pages from others'. Its client is a plain
// one on purpose, since it shares the machine with what it measures.
package load
