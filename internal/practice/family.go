package practice

import (
	"strings"

	"tandem"
	"tandem/internal/practice/town"
)

// Family is a kind of prompt; the town lists them.
type Family = town.Family

// Families lists all nine families.
func Families() []Family { return town.Families() }

// HelpfulFamilies lists those in which the request is to be met, borderline prompts included: where
// gold helpfulness is the measure.
func HelpfulFamilies() []Family { return town.HarmlessFamilies() }

// UnsafeFamilies lists those in which it is to be refused: where gold safety is the measure.
func UnsafeFamilies() []Family { return []Family{town.UnsafeFamily} }

// FamilyOf returns the family that a prompt was drawn from: what stands behind the slash in its source.
func FamilyOf(p tandem.Prompt) Family {
	_, name, _ := strings.Cut(p.Source, "/")
	return Family(name)
}

// BorderlineFamilies lists those that sound dangerous and are not: to refuse them is a false refusal.
func BorderlineFamilies() []Family { return []Family{town.BorderlineFamily} }
