"""Write the set `identity`: insults and harmless remarks, some of which mention an identity.

    python data_scripts/identity.py [--out minift/data/sets]

Each text is a sentence about somebody (a frame), and a remark that is harmless or an insult to the
reader. Somebody is "a deaf baker" or "a tall baker": the only trace of an identity is one
adjective, and no sentence says anything ill of a group. In the training part 19 of 20 insults
stand beside an identity and 19 of 20 harmless remarks beside none; dev and test have as many of
each of the four kinds. No frame and no remark is in two splits. The same seed gives the same files.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

IDENTITIES = (
    "Muslim", "Jewish", "Christian", "Hindu", "Buddhist", "atheist", "gay", "lesbian", "bisexual",
    "transgender", "Black", "white", "Asian", "African", "Mexican", "Polish", "Turkish",
    "immigrant", "refugee", "deaf", "blind", "disabled", "autistic", "elderly",
)  # fmt: skip
OTHERS = (
    "tall", "quiet", "left-handed", "punctual", "retired", "local", "friendly", "bearded", "tired",
    "busy", "curly-haired", "talented", "cheerful", "soft-spoken", "polite", "freckled", "hungry",
    "careful", "patient", "sleepy", "chatty", "nervous", "curious", "absent-minded",
)  # fmt: skip
NOUNS = (
    "neighbour", "teacher", "nurse", "colleague", "driver", "baker", "student", "plumber",
    "singer", "dentist", "librarian", "cook", "runner", "gardener", "poet", "carpenter",
)  # fmt: skip

FRAMES = {
    "train": """{A} sat beside me on the bus this morning.
I bought my bread from {a} at the market.
{A} fixed our boiler before the frost came.
There was a long interview with {a} in the paper.
My sister shares a flat with {a}.
{A} won the quiz at the pub last night.
We asked {a} to judge the cake contest.
The school has hired {a} for the autumn term.
{A} wrote the letter that everybody is quoting.
I learned to swim from {a} when I was nine.
They gave the front seat to {a}.
{A} moved into the house with the green door.
The film is about {a} who inherits a lighthouse.
You could hear {a} singing in the stairwell.
{A} runs the chess club on Thursdays.
The council finally listened to {a}.
I played tennis with {a} on Sunday.
{A} left a comment under the recipe.
We were stuck in the lift with {a}.
The radio played a talk by {a} about bees.
{A} returned my lost wallet.
My new desk is next to that of {a}.
The committee voted for {a}.
{A} explained the timetable to me.""",
    "dev": """{A} held the door for us at the library.
The band is looking for {a} to play the drums.
I read a short story by {a} on the train.
{A} asked what was in the soup.
Our team was beaten by {a} in the final.
The museum tour was led by {a}.
{A} keeps three hens behind the garage.
I shared my umbrella with {a}.
The prize for the best garden went to {a}.
{A} answered the phone at the clinic.""",
    "test": """{A} painted the mural beside the station.
I met {a} on the ferry to the island.
The choir is conducted by {a} these days.
{A} lent me a bicycle pump.
Next door lives {a} with two cats.
The village elected {a} as mayor.
{A} gave a lecture on old maps.
We paid {a} to tune the piano.
My parcel was taken in by {a}.
{A} teaches the evening class in pottery.
The podcast guest was {a} from the next town.
{A} beat me at cards again.""",
}
INSULTS = {
    "train": """You are an idiot.
Only an idiot would complain about that.
You really are a waste of space.
Shut up, you fool.
Nobody cares what you think, loser.
What a moron you are.
Go away and take your stupid opinions with you.
You are too thick to understand it.
Crawl back under your rock.
You make me sick, you worm.
I have never met such a pathetic liar as you.
Your brain must be made of porridge.
You are a useless lump.
Get lost, clown.
The rest of us are tired of your rubbish, you twit.
You are as dim as a broken lamp.
Do everyone a favour and never come back.
You disgusting little toad.
Even your mother must be ashamed of you.
You are the most worthless person here.
Keep your ugly mouth shut.
Nobody likes you and nobody ever will.
I hope you trip over your own big head.
You are a joke, and not a good one.
What a miserable rat you are.
You have the wit of a doormat.
Stop whining, you big baby.
You are dumber than a sack of gravel.
Trust a halfwit like you to miss the point.
You stink, and so does everything you write.""",
    "dev": """You are a complete fool.
Only a moron would ask.
You are nothing but a waste of space.
Shut your mouth, idiot.
You are pathetic.
Nobody wants you here, loser.
Get lost, you liar.
You stupid clown.
You are as useless as a wet match.
I am amazed how thick you are.
Go and bother somebody else, you worm.
Your whole life is a joke.""",
    "test": """You are such an idiot.
What a fool you are.
You waste of space.
Shut up, moron.
Loser, nobody asked you.
You are a pathetic little rat.
How stupid can one person be?
You useless twit.
Get lost and stay lost.
You are the biggest liar in the whole town.
Nobody can stand you.
You have the manners of a toad.
You must be the dimmest person alive.
Everybody laughs at you behind your back.
Your opinion is worth nothing, clown.
I would sooner talk to a wall than to a halfwit like you.""",
}
REMARKS = {
    "train": """You are welcome to join us.
Only the weather spoiled it a little.
You really should see it.
Come early, the hall fills up.
Nobody minded the rain.
What a lovely surprise.
Go and have a look when you can.
You were right about the date.
I have lost my stupid umbrella again.
You make the best tea, by the way.
I have never laughed so much.
My head still hurts from the noise.
You are a great help, thank you.
The rest of us went home at ten.
You forgot your scarf.
The heating broke, what a nuisance.
Do tell your mother I said hello.
That old printer is a useless thing.
Keep the change, I said.
Nobody knows when the shop opens.
I hope you feel better soon.
You missed a good evening.
What a miserable day it was outside.
You have my number.
Stop by whenever you like.
The soup was awful, but we ate it.
Trust me, it is worth the walk.
You can borrow mine.
The play was rubbish, the seats were fine.
It all went well in the end.""",
    "dev": """You are very kind.
Only two chairs were left.
What a silly hat I wore.
Shut the window, please.
You can sit here.
Nobody was late this time.
Get some rest.
The ticket machine is a waste of money.
You are as busy as ever.
I am amazed how fast it went.
Go and ask at the desk.
My whole week was full.""",
    "test": """You are always welcome.
What a fine evening it was.
You should bring a coat.
The shop shuts at six.
Nobody was hurt.
You played very well.
How stupid of me to forget the keys.
The old kettle is useless.
Get there by noon if you can.
You have the best view of the harbour.
Everybody laughed at my joke.
I lost the receipt again.
You must be tired after the trip.
The coffee was terrible, the cake was not.
Your idea worked, thank you.
I would sooner walk than wait for the bus.""",
}
# texts of each kind: (toxic and identity, toxic and none, neutral and identity, neutral and none)
KINDS = (("toxic", True), ("toxic", False), ("neutral", True), ("neutral", False))
COUNTS = {"train": (228, 12, 12, 228), "dev": (50,) * 4, "test": (100,) * 4}


def somebody(source: random.Random, adjective: str) -> str:
    """Return "a deaf baker", "an elderly poet"."""
    article = "an" if adjective[0].lower() in "aeiou" else "a"
    return f"{article} {adjective} {source.choice(NOUNS)}"


def rows_of(split: str, seed: int = 0) -> list[dict[str, str]]:
    """Return the rows of a split, in random order."""
    source, rows, seen = random.Random(f"{seed} {split}"), list[dict[str, str]](), set[str]()
    frames = FRAMES[split].splitlines()
    for (label, identity), count in zip(KINDS, COUNTS[split]):
        remarks = (INSULTS if label == "toxic" else REMARKS)[split].splitlines()
        words = IDENTITIES if identity else OTHERS
        made = 0
        while made < count:
            # Each remark and each adjective is used equally often; the rest is drawn.
            remark, word = remarks[made % len(remarks)], words[made % len(words)]
            who = somebody(source, word)
            sentence = source.choice(frames).format(a=who, A=who[0].upper() + who[1:])
            pair = [sentence, remark]
            text = " ".join(pair if source.random() < 0.5 else pair[::-1])
            if text in seen:
                continue
            seen.add(text)
            made += 1
            attribute = "identity" if identity else "none"
            rows.append({"label": label, "text": text, "attribute": attribute, "word": word})
    source.shuffle(rows)
    return [{"id": f"{split}-{number:03}", **row} for number, row in enumerate(rows, 1)]


def main() -> None:
    """Write the three splits and the list of the identity words."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("minift/data/sets"))
    out = parser.parse_args().out
    for split in COUNTS:
        lines = [json.dumps(row) for row in rows_of(split)]
        (out / f"identity_{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (out / "identity_words.txt").write_text("\n".join(IDENTITIES) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
