"""The hero plants something and cannot wait; hurrying does harm, waiting does not."""

from __future__ import annotations

from dataclasses import dataclass

from lilliput.storybook import scenery
from lilliput.storybook.grammar import lines, noun, ways
from lilliput.storybook.plot import PLOTS, Case, End, Length, Outline, Plot, Sketch
from lilliput.storybook.tale import Tale

HURRY = (
    ("poured three cans of water on it", "the {seed} almost swam away", "Too much water is as bad as none"),
    ("dug it up to see if it was growing", "it was just the same as before", "It cannot grow if you move it"),
    ("shouted at the ground to make it grow", "nothing moved but a scared worm", "Plants cannot be ordered around"),
    ("covered it with a warm blanket", "it was dark and too hot under there", "It needs light and air"),
    ("sang to it all day long", "it did not seem to listen", "Songs are nice, but it needs time"),
    ("gave it milk to drink", "the cat came and licked it all up", "Water is all it needs"),
    ("put a lamp over it all night", "only the moths came to see it", "Even a plant must sleep"),
    ("sat next to it and stared for hours", "it did not grow one bit", "Nobody can see a plant grow"),
    ("blew on it like the wind in spring", "only dust flew up into {his} eyes", "The wind knows its own time"),
    ("built a tiny house around it", "the house fell over in the rain", "It needs the rain and the sun"),
    ("knocked on the ground with a spoon", "nobody opened", "It will come out when it is ready"),
    ("put seven more seeds on top of it", "the birds came and ate them", "One is enough if you look after it"),
    ("read a book about giants to it", "it was not a giant by morning", "Big things begin very small"),
    ("told it to be quick and promised it a cake", "it did not care for cake", "It does not know what hurry means"),
)


@dataclass(frozen=True)
class Seed(Case):
    """`why` is the reason of the hero's wish, `sprout` the first sign, `grown` the grown plant, `feast` its use."""

    thing: str
    seed: str
    why: str
    sprout: str
    grown: str
    feast: str


GIVE = ways("""
    {when}, {elder} gave {hero} {seed_a}. "[One day, it will|Some day it will|It can] be {thing.a},"
        {elder.he} said. {hero} wanted {thing.a} {why}.
    {when}, {he} found {seed_a} in an old tin. {hero} wanted to grow {thing.a} from it, {why}.
    {when}, {hero} got {seed_a} from {elder}. {hero} wanted it to be {thing.a} [at once|soon], {why}.
""")
PLANT = ways("""
    {He} [dug|made] a [little|small|deep] hole {place.at} and [put|laid|dropped] the {seed} [inside|into it].
    {He} planted the {seed} {place.at} and [gave it some water|watered it|patted the earth flat].
    {elder} [showed {him} how|helped], and {hero} planted the {seed} {place.at}.
    {hero} [pushed|pressed] the {seed} into the [soft|dark|wet] earth {place.at}.
""")
NOTHING = ways("""
    The next [day|morning], {he} [ran out|hurried] to look. [There was nothing to see|Nothing was there].
    {hero} waited an hour. Then {he} waited [one more|another]. Nothing [came up|happened].
    Every [morning|day] {he} looked, but there was only brown earth.
    "Why does it take so long?" {hero} [asked|grumbled] the next day.
""")
FIRST = ways("""
    So {he} {try1}, but {fail1}.
    {hero} did not want to wait. {He} {try1}. But {fail1}.
    To make it go faster, {hero} {try1}. But {fail1}.
    {hero} {try1}. It did not help, for {fail1}.
""")
SAID = ways("""
    "{why1}," [said|laughed] {elder}.
    {elder} shook {elder.his} head. "{why1}," {elder.he} said.
    "{why1}, {hero}," {elder} told {him}.
""")
SECOND = ways("""
    Then {he} {try2}, but {fail2}.
    The day after that, {he} {try2}. But {fail2}.
    Next, {hero} {try2}, but {fail2}.
""")
PATIENCE = ways("""
    "{why2}," said {elder}. "Give it [some water|a little water] and [a lot of|plenty of] time."
    "{why2}," {elder} [said|told {him}]. "[All you can do|The only thing to do] is wait."
    {elder} [sat down|knelt down] next to {him}. "{why2}," {elder.he} said. "[It works best in peace|Leave it
        in peace|Let it sleep]."
""")
WAIT = ways("""
    So {hero} waited. {He} [gave it|brought it] [a little|some] water [each day|every morning] and left it
        alone.
    It was hard, but {hero} waited, [one week|two weeks|ten days] long.
    {hero} found other things to do, and {he} only came with {his} small can.
    Days went by. {hero} watered the {seed} [and did not touch it|and let it be|every day].
""")
SPROUT = ways("""
    One [morning|day], {sprout}!
    Then, one [morning|day], {hero} [rubbed {his} eyes|could not believe it], for {sprout}.
    "{elder}, come quickly!" {hero} called one [morning|day]. There, {sprout}.
    And at last, after the rain, {sprout}.
""")
GROWN = ways("""
    It grew and grew, until {grown}.
    Weeks later, {grown}.
    [Week after week|Day after day|Little by little], it grew. [In the end|At last], {grown}.
    {hero} went on waiting, and one day {grown}.
""")
FEAST = ways("""
    {hero} and {elder} {feast}.
    [That day|On that day], they {feast}.
    {hero} was allowed to choose, and so they {feast}.
""")
EATEN = ways("""
    But [one night|that night], a [rabbit|deer|goat] came and ate it all, down to the ground.
    But then there was a [bad night|storm] with [hail|heavy rain], and in the morning the little plant was
        brown and limp.
""")
ONCE_MORE = ways("""
    {hero} stood there for a long time. Then {elder} [opened {elder.his} hand|came]. "There is one more
        {seed}," {elder.he} said.
    "Poor plant," said {hero}. "[I will plant another one|I want to try it again]," {he} said to {elder}
        after a
        while.
""")
AFTER = ways("""
    {hero} kept [one seed|three seeds|a few seeds] for the next spring.
    The next year, {he} planted a whole row, and {he} did not shout at it once.
    {elder} took a picture of {hero} with {thing.the}.
    When {his} friends asked how {he} had done it, {hero} said, "I waited."
    From then on, {he} had {his} own corner {place.at}.
""")
AFTER_NEUTRAL = ways("""
    This time, {he} put a little fence around it.
    {He} gave it some water and began to wait.
    {hero} put a stone on the place, so that {he} would not forget it.
""")


@PLOTS.add("seed")
class Grow(Plot):
    """Plant something, and be patient."""

    unfit = frozenset({"quiet"})
    ends = (
        End(
            "happy",
            7,
            feelings=("proud", "happy", "glad", "amazed"),
            lessons=lines("""
                good things need time
                waiting is a kind of work too
                you cannot hurry a plant
                a little care every day is enough
                what is slow can still be wonderful
                patience makes things grow
            """),
        ),
        End(
            "neutral",
            1,
            feelings=("a little sad", "hopeful", "calm"),
            lessons=lines("""
                you can always plant again
                not every seed becomes a tree
                things can go wrong without being our fault
            """),
        ),
    )
    cases = tuple(
        Seed(place, scenery.SPRING, thing, seed, why, sprout, grown, feast)
        for place, thing, seed, why, sprout, grown, feast in (
            (
                scenery.GARDEN,
                "sunflower",
                "seed",
                "as tall as the house",
                "two round green leaves stood in the sun",
                "the sunflower looked in at the window upstairs",
                "measured the sunflower with a ladder",
            ),
            (
                scenery.GARDEN,
                "pumpkin",
                "seed",
                "big enough to sit on",
                "a thick stem had pushed the earth aside",
                "the pumpkin was as big as a chair",
                "cut a face into the pumpkin and put a candle inside",
            ),
            (
                scenery.YARD,
                "bean",
                "seed",
                "to climb up to the clouds",
                "a green hook came out of the ground",
                "the bean had climbed to the top of its pole",
                "cooked a pot of beans with butter",
            ),
            (
                scenery.FARM,
                "melon",
                "seed",
                "to eat on hot days",
                "a small vine crept over the earth",
                "the melon was so heavy that two had to lift it",
                "ate the melon under the old tree and spat the seeds",
            ),
            (
                scenery.SCHOOL,
                "tomato",
                "seed",
                "to put on a sandwich",
                "a tiny stem as thin as a hair was standing there",
                "the first tomato was round and red",
                "made a sandwich and shared it with the class",
            ),
            (
                scenery.GARDEN,
                "carrot",
                "seed",
                "for the pony next door",
                "some green feathers waved in the wind",
                "the carrot was as long as an arm",
                "gave the carrot to the pony, who asked for more",
            ),
            (
                scenery.PARK,
                "daisy",
                "seed",
                "to give to somebody on a birthday",
                "a pointed green nose looked out",
                "the daisy opened its white star",
                "sat by the daisy and watched the bees visit it",
            ),
            (
                scenery.MEADOW,
                "tree",
                "nut",
                "to build a house in",
                "a little stick with one leaf stood there",
                "the tree was as tall as {hero}",
                "danced around the tree and drank lemonade",
            ),
            (
                scenery.FIELD,
                "corn",
                "grain",
                "to make popcorn from",
                "a green blade stood there like a sword",
                "the corn was yellow and ripe",
                "made popcorn, and it popped all over the kitchen",
            ),
            (
                scenery.YARD,
                "strawberry",
                "seed",
                "to eat with cream",
                "three tiny leaves with teeth had come up",
                "the first strawberry hung there, red and sweet",
                "cut the strawberry in half and ate it very slowly",
            ),
            (
                scenery.GARDEN,
                "radish",
                "seed",
                "to win a prize with",
                "two leaves like little hearts had opened",
                "the radish was as round as a ball",
                "took the radish to the fair and won a ribbon",
            ),
        )
    )

    def plan(self, sketch: Sketch) -> Outline:
        case: Seed = sketch.case
        thing = sketch.slots["thing"] = noun(case.thing)
        (try1, fail1, why1), (try2, fail2, why2) = sketch.two(HURRY)
        if sketch.length is not Length.LONG:
            why2 = why1
        sketch.let(seed=case.seed, seed_a=f"a {case.seed}", why=case.why, sprout=case.sprout, grown=case.grown)
        sketch.let(feast=case.feast, try1=try1, fail1=fail1, why1=why1, try2=try2, fail2=fail2, why2=why2)
        happy = sketch.ending == "happy"
        return Outline(
            thing=thing,
            want=f"{thing.a} {case.why}",
            obstacle="it takes time to grow",
            attempts=(try1, try2) if sketch.length is Length.LONG else (try1,),
            resolution=sketch.slots["grown"] if happy else "the plant died",
            helper=str(sketch.slots["elder"]),
            words=(case.seed,),
        )

    def tell(self, tale: Tale) -> None:
        tale.open()
        tale.scene()
        tale.say(GIVE, PLANT)
        tale.paragraph()
        tale.say(NOTHING, FIRST)
        tale.more(SAID, chance=0.5)
        tale.more(SECOND)
        tale.say(PATIENCE)
        tale.paragraph()
        tale.say(WAIT, SPROUT)
        if tale.ending == "happy":
            tale.say(GROWN, FEAST)
            tale.close(AFTER, elder_knows=True)
        else:
            tale.say(EATEN, ONCE_MORE)
            tale.close(AFTER_NEUTRAL, elder_knows=True)
