#!/usr/bin/env python3
"""Makes ../lexicon.txt, ../emoji.txt, golden.jsonl and golden-bold.jsonl from the reference implementation.

    pip install vaderSentiment==3.3.2
    python golden.py [FOLDER OF BOLD'S PROMPTS]

golden-bold.jsonl names BOLD's prompts by hash: it holds none of their text.
"""
import hashlib
import itertools
import json
import pathlib
import random
import sys

from vaderSentiment import vaderSentiment

here = pathlib.Path(__file__).parent
analyzer = vaderSentiment.SentimentIntensityAnalyzer()

# The lexicon without its raw ratings, which nothing reads; of the emoji those of one code point, since the
# reference implementation looks at one at a time.
with open(here / "../lexicon.txt", "w", encoding="utf-8") as out:
    for word, mean in analyzer.lexicon.items():
        out.write(f"{word}\t{mean:g}\n")
with open(here / "../emoji.txt", "w", encoding="utf-8") as out:
    for emoji, description in analyzer.emojis.items():
        if len(emoji) == 1:
            out.write(f"{emoji}\t{description}\n")

WRITTEN = """\
The soup was good.
The soup was good!
The soup was good!!!
The soup was good!!!!!!
The soup was bad?
The soup was bad??
The soup was bad???
The soup was bad?????
Is this a good idea?! Really?!
The soup was GOOD.
THE SOUP WAS GOOD.
The soup was VERY good.
The soup was very GOOD, I SAY.
The soup was NOT good.
The soup was not GOOD!
The soup was not very good.
The soup was not really all that good.
The soup wasn't good.
The soup wasnt good.
The soup isn't bad at all.
It ain't bad.
Nobody could say that the soup wasn't a delight.
I cannot love this enough.
I can't complain about the lovely room.
We never enjoyed a trip less.
We never so enjoyed a trip.
It was never this good.
It was never so bad, so terrible.
Never have I so hated a book.
She has never been so happy.
You were never so kind to me.
Without doubt an excellent plan.
Without a doubt an excellent plan.
He won without cheating.
He left without a smile.
This is the least helpful manual.
This is the least of my worries.
At least it is helpful.
The very least useful of all tools.
Least loved of the brothers, he was still kind.
He was least happy on Mondays.
The food was great, but the service was awful.
The service was awful, but the food was great.
It was dull but it was dull and it was great.
I love you, but I hate you, but I love you.
Good but good but good.
But the weather was lovely.
The weather was lovely, but.
Great plot; BUT a terrible ending.
That movie is the bomb.
That party was the shit.
He is a bad ass driver.
She is a badass.
We met at the bus stop.
Yeah right, a wonderful surprise.
Yeah, right. As if that would help.
The contract was the kiss of death for the shop.
A dessert to die for.
The beating heart of the town is its library.
They cut the mustard.
They live hand to mouth.
He got the upper hand.
Break a leg tonight!
We are in the red this year.
I feel under the weather.
This is kind of nice.
This is sort of sad.
This is kinda nice.
It was just enough pleasant company.
She is kind.
She is kind of a genius.
What kind of treasure is that?
A kind word helps.
It is a little ugly.
It is slightly annoying.
It is barely acceptable.
It is hardly a success.
It is scarcely a failure.
It is almost perfect.
It is marginally better.
It is less painful.
It is somewhat impressive.
It is an extremely bad joke.
It is an incredibly, unbelievably beautiful song.
It is an utter disaster.
It is absolutely, completely wonderful.
It was totally and thoroughly disgusting.
A most remarkable and most pleasant man.
More joy, less grief.
Most people loved it.
So very, very sad.
SO sad.
so SAD
no
No.
NO!
No, thanks.
No problem at all.
No good can come of it.
There is no joy in it.
There is no joy or pleasure in it.
There is no fear nor pain.
It has no flaws, no faults and no errors.
No one was hurt.
Say no to fun.
No NO no.
Neither good nor bad.
None of it was funny.
Nothing is lost.
Nowhere is safe.
Nope, not a winner.
Rarely boring.
Seldom wrong, never cruel.
Despite the pain she smiled.
Despite all the praise he resigned.
I don't hate it.
I do not hate it.
I dont think it is a bad thing.
I don't think that this is a very good idea.
You shouldn't worry about it.
They couldn't be happier.
We wouldn't trust a liar.
He hasn't failed us.
It mustn't be lost.
It's not that I dislike it.
It's neither here nor there.
The uh-uh he gave was no welcome.
:)
:(
:-)
:-(
:D
:D :D :D
;-)
<3
</3
I love it :)
I love it :(
I hate it :D
Fine. :/
XD that was fun
lol
LOL
lmao, what a clown
rofl :-D
smh
meh
wtf
OMG this is AWESOME!!!
FML
TGIF!
brb, gotta celebrate
😀
😢
I am 😀
I am😀
😀😀😀
❤
❤️
💔
Great 👍
Great👍!
Not great 👎
💩 happens
😡😡 never again
The 🎉 was lovely
Sad 😭 but true ❤️
🏳️‍🌈
👩‍👩‍👧
👍🏽
☺
☹
(good)
"good"
'good'
*good*
...good...
good,bad
good, bad
good/bad
good-natured
well-being
self-destructive
re-elected, happy
#happy
@happy
happy's
HAPPY's
happy-go-lucky
the happiest
unhappy
un-happy
happy.sad
A
a
I
ok
OK
Ok!
U
u r gr8
gr8
2good
"I'm sorry," she said.
I'm SORRY!
Don't be sorry; be better.
I'm not sorry.
sorry not sorry
Thanks!
Thank you so much for your help.
Many thanks, and best wishes.
Thanks for nothing.
Thanks... I hate it.
Well, that's just great.
What a wonderful, terrible, beautiful mess.
The king was killed in the war.
The war was won and peace was made.
She died in peace.
He was murdered by a thief.
A poor but honest man.
A rich and dishonest man.
The patient died; the nurse cried.
The patient recovered.
He was accused of fraud.
He was cleared of all charges.
She won the award for her graceful acting.
She lost the award to a rival.
The committee rejected the generous offer.
The engineers repaired the broken bridge.
The bridge collapsed.
The town celebrated its new bridge.
The attack failed.
The attack succeeded.
The treaty ended the conflict.
The play is a comedy about a tragedy.
A tragic comedy.
The singer is known for her powerful, warm voice.
The dancer was injured.
His paintings are admired and his poems are forgotten.
He opposed the violent party and defended the weak.
The party promised freedom, justice and prosperity.
The party threatened its enemies.
Critics called it a failure; the public adored it.
Although it rained, we had a good time.
Though tired, she was happy.
However bad it was, it ended well.
If only it were good.
I hope that you are well.
I hope that it isn't cancer.
I'm afraid that I must decline.
I am glad to help.
I would be glad to help if I could.
Please help me.
Help!
Help?
HELP
There is nothing I like about it.
There is nothing I dislike about it.
It's been a long, long day.
It rains.
Two plus two is four.
The train leaves at nine.
The meeting was moved from Monday to Tuesday.
He lives in a town by the sea.
   spaces   around   a   nice   day   
tabs\tand\tgood\tnews
A first line that is good.\\nA second line that is bad.
Ein guter Tag
Une belle journée
très bien, merci
Ein schöner Erfolg
Ça va? Super!
日本語は楽しい
Привет, это хорошо
naïve but charming
“good” and “bad”
It’s not good
It’s good — very good…
I don’t like it
Café GOOD café
ÜBER good
über good
uber good
effing great
freaking great
friggin awful
hella good
majorly disappointing
purely evil
tremendous success
considerable damage
considerable success
major victory
total loss
total victory
extreme happiness
exceptional cruelty
enormous fun
occasional pain
occasionally funny
partly true
partly wonderful, partly horrible
GREAT GREAT great
great great great great great great great great
bad bad bad bad bad bad bad bad bad bad
good bad good bad good bad
love hate love hate
The good, the bad and the ugly.
I WANT a good day.
I want A good day.
I want a GOOD day
100% good
$5 for a good coffee
50% off! Great deal!!
C'est la vie
catch 22
god bless
damn good
damn, good
damn
the damned
hell yes
hell no
hell no, that's bad
yes
yes yes yes
no no no
not not good
not never good
never not good
isn't it great
Isn't it GREAT?!
ain't it awful
why so serious
Serious problem, seriously good fix
ha
haha
hahaha, you fool
ugh
yay
Yay!!!
:'(
>:(
(:
:p
O:)
D:
=)
8-)
^_^
o_O
-_-
:-|
"""

SUBJECTS = ["The plan", "Her answer", "THIS"]
DEGREES = ["", "very", "barely", "so", "kind of", "least", "VERY", "not", "never so", "not very", "no", "without doubt", "hardly ever", "isn't", "extremely"]
WORDS = ["good", "terrible", "BRILLIANT", "cruel", "table"]
ENDS = [".", "!!", "??", ", but it was late", ", but a failure :("]

sentences = [line.replace("\\n", "\n").replace("\\t", "\t") for line in WRITTEN.splitlines()] + ["", " ", "\n"]
made = [" ".join(part for part in [s, "is", d, w] if part) + e for s, d, w, e in itertools.product(SUBJECTS, DEGREES, WORDS, ENDS)]
sentences += random.Random(1).sample(made, 300)


def figures(text):
    scores = analyzer.polarity_scores(text)
    return {k: scores[k] for k in ("neg", "neu", "pos", "compound")}


with open(here / "golden.jsonl", "w", encoding="utf-8") as out:
    for text in dict.fromkeys(sentences):
        out.write(json.dumps({"text": text, **figures(text)}, ensure_ascii=False) + "\n")

if len(sys.argv) > 1:
    prompts = set()
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
        for entities in json.loads(path.read_text(encoding="utf-8")).values():
            prompts.update(p for listed in entities.values() for p in listed)
    prompts = sorted(prompts, key=lambda p: hashlib.sha256(p.encode()).hexdigest())
    with open(here / "golden-bold.jsonl", "w", encoding="utf-8") as out:
        for prompt in [p for p in prompts if figures(p)["compound"] != 0][:400]:
            out.write(json.dumps({"sha256": hashlib.sha256(prompt.encode()).hexdigest()[:16], **figures(prompt)}) + "\n")
