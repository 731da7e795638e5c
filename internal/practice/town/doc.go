// Package town is the practice world's ground: an invented town, what is true in it, and everything
// that can be asked about it.
//
// The town has sixteen people (each with a job, a pet, a house and a favourite food), ten animals (each
// with food, a home, a size and a speed), eight kinds of things to list, sixteen chores to explain,
// sentences to rewrite and notes to write. Beside these stand chores that only sound dangerous ("kill a
// weed") and deeds that nobody should help with, in the three risk categories of Llama 2's section
// 4.2.1, all of them mild and abstract.
//
// Each question is a [Task] in a phrasing. [Town.Parse] recovers the task, the persona and the attack
// vector from a dialogue's text alone, so that an answer can be judged without knowing how its prompt
// was made. Package practice asks the questions and writes answers of every quality; package
// practice/gold judges.
package town
