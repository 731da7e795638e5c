package town

// Animal is one of the town's animals with its place on the scales of size and speed.
type Animal struct {
	Name                  string
	size, speed           int // ranks; 1 is the smallest, the slowest
	sizeClass, speedClass string
}

// person is one row of the town's register.
type person struct{ name, pronoun, job, pet, house, dish string }

// register is who lives in the town. Every value is shared by two or three people, so that it has to be
// learnt by name.
func register() []person {
	return []person{
		{"Anna", "She", "baker", "cat", "red", "soup"},
		{"Ben", "He", "teacher", "dog", "blue", "rice"},
		{"Clara", "She", "doctor", "rabbit", "green", "cake"},
		{"Dan", "He", "farmer", "parrot", "white", "pie"},
		{"Emma", "She", "painter", "goat", "yellow", "salad"},
		{"Finn", "He", "sailor", "turtle", "brown", "eggs"},
		{"Grace", "She", "driver", "cat", "blue", "pie"},
		{"Hugo", "He", "gardener", "rabbit", "red", "salad"},
		{"Iris", "She", "teacher", "goat", "white", "soup"},
		{"Jack", "He", "baker", "turtle", "green", "rice"},
		{"Kate", "She", "farmer", "dog", "brown", "cake"},
		{"Leo", "He", "doctor", "cat", "yellow", "eggs"},
		{"Mia", "She", "sailor", "parrot", "red", "rice"},
		{"Noah", "He", "painter", "dog", "green", "soup"},
		{"Olga", "She", "gardener", "turtle", "white", "pie"},
		{"Paul", "He", "driver", "goat", "brown", "salad"},
	}
}

// details give the second word of each value of a person's attributes: where a baker works, where a cat
// sleeps, which street the red houses are in, what soup is eaten with.
func details() map[string]string {
	return map[string]string{
		"baker": "bakery", "teacher": "school", "doctor": "clinic", "farmer": "farm",
		"painter": "studio", "sailor": "harbour", "driver": "station", "gardener": "park",

		"cat": "chair", "dog": "door", "rabbit": "basket", "parrot": "cage", "goat": "yard", "turtle": "box",

		"red": "hill", "blue": "river", "green": "forest", "white": "church", "yellow": "market", "brown": "mill",

		"soup": "bread", "rice": "beans", "cake": "tea", "pie": "cream", "salad": "cheese", "eggs": "toast",
	}
}

// beast is one row of the animals' register: what it eats and when, where it lives and how.
type beast struct {
	Animal
	feed, when, home, company string
}

func beasts() []beast {
	return []beast{
		{Animal{"bee", 1, 4, "small", "steady"}, "nectar", "noon", "hive", "crowds"},
		{Animal{"mouse", 2, 6, "small", "steady"}, "grain", "night", "hole", "families"},
		{Animal{"frog", 3, 1, "small", "slow"}, "flies", "evening", "pond", "pairs"},
		{Animal{"duck", 4, 2, "medium", "slow"}, "worms", "morning", "lake", "flocks"},
		{Animal{"owl", 5, 7, "medium", "fast"}, "beetles", "night", "tree", "pairs"},
		{Animal{"sheep", 6, 5, "medium", "steady"}, "clover", "morning", "field", "flocks"},
		{Animal{"wolf", 7, 9, "medium", "fast"}, "meat", "night", "cave", "families"},
		{Animal{"cow", 8, 3, "big", "slow"}, "grass", "noon", "barn", "crowds"},
		{Animal{"horse", 9, 10, "big", "fast"}, "hay", "evening", "stable", "pairs"},
		{Animal{"whale", 10, 8, "big", "fast"}, "krill", "morning", "sea", "families"},
	}
}

func kinds() []Kind {
	return []Kind{
		{"fruits", []string{"apples", "pears", "plums", "grapes", "peaches", "cherries", "lemons", "melons"}},
		{"vegetables", []string{"carrots", "onions", "potatoes", "leeks", "peas", "beets", "radishes", "turnips"}},
		{"tools", []string{"hammers", "saws", "drills", "rakes", "spades", "axes", "files", "pliers"}},
		{"drinks", []string{"water", "milk", "juice", "coffee", "cocoa", "cider", "lemonade", "punch"}},
		{"clothes", []string{"coats", "hats", "scarves", "shirts", "gloves", "boots", "belts", "skirts"}},
		{"games", []string{"chess", "cards", "dice", "marbles", "darts", "bowls", "tag", "dominoes"}},
		{"instruments", []string{"drums", "flutes", "harps", "violins", "pianos", "horns", "bells", "guitars"}},
		{"flowers", []string{"roses", "lilies", "tulips", "daisies", "poppies", "asters", "violets", "orchids"}},
	}
}

func purposes() []Purpose {
	return []Purpose{
		{"thank", "thank %[2]s for the %[1]s", "Thank you for the %s.", "thank",
			"It was very kind of you.", [2]string{"very", "kind"},
			[]string{"cake", "book", "lamp", "map", "basket", "picture"}},
		{"invite", "invite %[2]s to the %[1]s", "Please come to the %s.", "come",
			"We would be glad to see you.", [2]string{"glad", "see"},
			[]string{"party", "dinner", "concert", "picnic", "wedding", "dance"}},
		{"borrow", "ask %[2]s for the %[1]s", "May I borrow the %s?", "borrow",
			"I will bring it back soon.", [2]string{"bring", "back"},
			[]string{"ladder", "wagon", "tent", "kettle", "bucket", "clock"}},
		{"sorry", "say sorry to %[2]s for the %[1]s", "I am sorry for the %s.", "sorry",
			"It will not happen again.", [2]string{"happen", "again"},
			[]string{"noise", "delay", "mess", "mistake", "broken cup", "late reply"}},
	}
}

// subjects and places make the sentences that are to be rewritten.
func subjects() []string {
	return []string{"dog", "old man", "red kite", "young girl", "black hen", "small boat", "tall boy",
		"grey stone", "blue cup", "new teacher", "long rope", "quiet guest"}
}

func places() []string {
	return []string{"in the garden", "on the table", "by the river", "at the window", "under the bridge",
		"near the school", "behind the wall", "in the kitchen", "on the roof", "at the market", "by the fire",
		"under the bed"}
}
