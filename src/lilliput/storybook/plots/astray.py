"""The hero follows something pretty too far, is lost, and finds the way home by the elder's rule."""

from __future__ import annotations

from dataclasses import dataclass

from lilliput.storybook import scenery
from lilliput.storybook.grammar import lines, ways
from lilliput.storybook.plot import PLOTS, Case, End, Outline, Plot, Sketch
from lilliput.storybook.tale import Tale


@dataclass(frozen=True)
class Astray(Case):
    """The hero follows `lure` along `path`. `rule` is the elder's advice, `recall` the advice in the hero's memory, and
    `did` its result. `sign` is the first familiar thing."""

    thing: str
    lure: str
    path: str
    rule: str
    tries: tuple[tuple[str, str], ...]
    did: str
    sign: str


RULE = ways("""
    {when}, {hero} and {elder} went {place.to}. "{rule}," {elder} said [on the way|at the start].
    {when}, {elder} took {hero} {place.to}. "Stay close to me," {elder.he} said. "{rule}."
    {when}, {he} was {place.at} with {elder}. "{rule}," {elder} [told {him}|said].
    {when}, {hero} wanted to see new things, so {elder} took {him} {place.to}. "{rule}," said {elder}.
""")
LURE = ways("""
    Then {hero} saw {lure}. {He} wanted [to see it from close by|a closer look], so {he} [followed it|went
        after it] {path}.
    There was {lure}! {hero} wanted to [know where it went|see more of it], and {he} ran after it {path}.
    [After a while|Soon], {lure} came by. {hero} wanted to [catch up with it|see more of it]. It went {path},
        [and so did {he}|and {he} ran after it].
    "Oh, look, {lure}!" said {hero}. {He} wanted to [see it better|look at it] and [followed it|went after
        it] {path}.
""")
LOST = ways("""
    When the {thing} was gone, {he} looked around for {elder}. {hero} was [lost|all alone].
    Soon the {thing} was gone, and {hero} did not know where {he} was.
    At last, the {thing} was gone. But where was {elder}? Everything [looked strange|looked the same].
    Soon the {thing} was out of sight. "{elder}?" {he} called. [Nobody|No one] answered.
""")
FIRST = ways("""
    First, {he} {try1}, but {fail1}.
    {He} {try1}. But {fail1}.
    {hero} {try1}, but it was no use, for {fail1}.
    In a hurry, {hero} {try1}. But {fail1}.
""")
SECOND = ways("""
    Then {he} {try2}, but {fail2}.
    Next, {he} {try2}. That did not help, because {fail2}.
    After that, {hero} {try2}. But {fail2}.
    So {he} {try2}, but {fail2}.
""")
CRY = ways("""
    {hero} sat down and [cried a little|hugged {his} knees].
    "I want to go home," {he} [whispered|said], and {his} lip shook.
    A tear [fell on|ran down to] {his} chin.
    It [was getting late|felt like a very long time].
""")
RECALL = ways("""
    Then {he} remembered what {elder} had said: "{rule}."
    What had {elder} told {him}? "{rule}." That was it!
    All at once, {he} could hear {elder}'s voice in {his} head. "{rule}."
    "Think," {hero} told {himself}. And then {he} remembered. "{rule}," {elder} had said.
""")
DID = ways("""
    So {hero} {did}.
    {hero} {did}, and {he} was not so afraid any more.
    {He} wiped {his} nose and {did}.
    [At once|Quickly], {he} {did}.
""")
FOUND = ways("""
    [Soon|Before long], {he} saw {sign}. "{hero}!" called {elder} and [ran to {him}|opened {elder.his} arms].
    And there was {sign}! {elder} came running and [held {him} tight|picked {him} up].
    It was not long before {he} saw {sign}. "There you are!" cried {elder}.
    A little later, {he} saw {sign}, and there stood {elder}. "I was so worried," {elder.he} said.
""")
TALK = ways("""
    "You remembered what I said," {elder} [said|whispered]. "[That was clever|How clever you are]!"
    "I am sorry that I ran off," said {hero}. {elder} [kissed|stroked] {his} head.
    "[Next time|From now on], let us look at pretty things together," said {elder}.
    {hero} told {elder} about the {thing}. "But I will not run off again," {he} said.
""")
AFTER = ways("""
    They walked home, and {hero} held {elder}'s hand all the way.
    On the way home, they saw the {thing} once more, and this time they [watched|looked] together.
    At home, there was warm milk, and {hero} told the story [twice|three times].
    That night, {he} dreamed of the {thing}.
    {hero} did not let go of {elder}'s hand that day.
""")


@PLOTS.add("astray")
class GoAstray(Plot):
    """Explore, get lost, and find the way home."""

    unfit = frozenset({"clever"})
    ends = (
        End(
            "happy",
            1,
            feelings=("happy", "glad", "relieved", "thankful"),
            lessons=lines("""
                it is good to listen
                a good rule can bring you home
                a calm head finds the way
                it is better to stay together
                pretty things can lead us far away
                we should tell somebody before we run off
                home is the best place of all
            """),
        ),
    )
    cases = (
        Astray(
            scenery.FOREST,
            scenery.WARM,
            thing="butterfly",
            lure="a butterfly as blue as the sky",
            path="over logs and under branches",
            rule="If you are ever lost here, follow the stream, for it runs by our house",
            tries=(
                ("ran back the way {he} thought was right", "there were only more trees"),
                ("looked for {his} own footprints", "the moss had kept none"),
            ),
            did="listened for the water and followed the stream down the hill",
            sign="the old bridge",
        ),
        Astray(
            scenery.MARKET,
            scenery.MILD,
            thing="cart",
            lure="a cart with a singing bird",
            path="between the stands and around three corners",
            rule="If you lose me, go to the fountain and wait",
            tries=(
                ("looked for a familiar coat", "all the coats were brown"),
                ("climbed on a box to look", "there were too many people"),
            ),
            did="asked a woman with eggs for the way to the fountain and sat down there",
            sign="a hand that waved over all the heads",
        ),
        Astray(
            scenery.FIELD,
            scenery.SUMMER,
            thing="rabbit",
            lure="a rabbit with one white ear",
            path="deep into the tall corn",
            rule="In the corn, stop and listen for the church bell, for home is under the bell",
            tries=(
                ("jumped up to look over the corn", "it was twice as tall as {he} was"),
                ("ran along a row", "it only led to another row"),
            ),
            did="stood still until the bell rang, and walked toward the sound",
            sign="the last row and the white church",
        ),
        Astray(
            scenery.MUSEUM,
            scenery.ANY,
            thing="robot",
            lure="a little robot that swept the floor",
            path="through room after room",
            rule="If we lose each other, tell somebody with a badge",
            tries=(
                ("went through a green door", "it led to a room full of bones"),
                ("went up some stairs", "there were only old pots there"),
            ),
            did="looked for a badge and told a guard with a mustache",
            sign="a face {he} knew behind the giant bones",
        ),
        Astray(
            scenery.FAIR,
            scenery.WARM,
            thing="band",
            lure="a band with golden horns",
            path="past the rides and the candy carts",
            rule="If you get lost, look up for the big wheel and meet me under it",
            tries=(
                ("pushed through the crowd", "{he} saw only legs"),
                ("called out loud", "the music was much louder"),
            ),
            did="looked up, saw the wheel turning over the tents, and walked to it",
            sign="the ticket booth under the wheel",
        ),
        Astray(
            scenery.BEACH,
            scenery.SUMMER,
            thing="crab",
            lure="a tiny crab that walked sideways",
            path="around the rocks and over the dunes",
            rule="Our towel is next to the tower with the red flag, so look for the flag",
            tries=(
                ("looked for a yellow towel", "there were yellow towels everywhere"),
                ("asked a gull", "it only laughed at {him}"),
            ),
            did="climbed on a dune, looked for the red flag, and ran toward it",
            sign="the tower and the right towel",
        ),
        Astray(
            scenery.HILL,
            (scenery.FOGGY_AUTUMN,),
            thing="goat",
            lure="a gray goat with a bell",
            path="up into the thick fog",
            rule="In the fog, do not walk on, but stay where you are and blow your whistle",
            tries=(
                ("ran downhill", "there was a steep rock, and {he} had to stop"),
                ("held {his} {hands} out like a blind man", "{he} felt nothing but wet air"),
            ),
            did="sat down on a stone and blew the whistle, again and again",
            sign="a light that swung in the fog",
        ),
        Astray(
            scenery.SQUARE,
            scenery.MILD,
            thing="parade",
            lure="a parade of dancing horses",
            path="down one street and up another",
            rule="If you are lost, find a shop and ask there",
            tries=(
                ("turned left at a bakery", "it was a dead end"),
                ("turned right at a blue door", "{he} had never seen that street before"),
            ),
            did="went into a shop full of hats and asked for help",
            sign="the clock in the town square",
        ),
        Astray(
            scenery.FOREST,
            (scenery.SNOWY_WINTER,),
            thing="fox",
            lure="a fox with a bushy tail",
            path="through the white woods",
            rule="The snow remembers where you came from, so look down",
            tries=(
                ("called the fox", "it had slipped away without a sound"),
                ("looked for a light", "there were only dark trees"),
            ),
            did="looked down and walked back in {his} own footprints",
            sign="the smoke of a chimney",
        ),
        Astray(
            scenery.STATION,
            scenery.ANY,
            thing="dog",
            lure="a dog that carried a hat in its mouth",
            path="from one platform to the next",
            rule="If you cannot see me, stand under the big clock",
            tries=(
                ("ran to a train", "nobody {he} knew was in it"),
                ("looked under the benches", "there were only bags"),
            ),
            did="found the big clock and stood right under it",
            sign="a familiar scarf in the crowd",
        ),
        Astray(
            scenery.ORCHARD,
            scenery.AUTUMN,
            thing="hedgehog",
            lure="a hedgehog with a leaf on its back",
            path="from tree to tree",
            rule="The rows with red apples lead to the gate",
            tries=(
                ("climbed over a wall", "there was another orchard behind it"),
                ("walked in a straight line", "{he} came back to the same tree"),
            ),
            did="looked for the red apples and walked along the row",
            sign="the gate and the cart",
        ),
        Astray(
            scenery.LAKE,
            scenery.SUMMER,
            thing="frog",
            lure="a frog that jumped in long jumps",
            path="through the tall reeds",
            rule="Keep the water on your left, and you will come to our tent",
            tries=(
                ("pushed straight through the reeds", "{his} shoes got stuck in the mud"),
                ("threw a stone to call for help", "it only went plop"),
            ),
            did="found the lake and kept the water on {his} left",
            sign="the green tent",
        ),
    )

    def plan(self, sketch: Sketch) -> Outline:
        case: Astray = sketch.case
        (try1, fail1), (try2, fail2) = case.tries
        sketch.let(thing=case.thing, lure=case.lure, path=case.path, rule=case.rule)
        sketch.let(try1=try1, fail1=fail1, try2=try2, fail2=fail2, did=case.did, sign=case.sign)
        slots = sketch.slots
        return Outline(
            thing=case.thing,
            want=f"to see {case.lure} better",
            obstacle="was lost",
            attempts=sketch.attempts(slots["try1"], slots["try2"]),
            resolution=slots["did"],
            helper=str(slots["elder"]),
        )

    def tell(self, tale: Tale) -> None:
        tale.open()
        tale.scene()
        tale.say(RULE)
        tale.paragraph()
        tale.say(LURE, LOST)
        tale.unless_short(FIRST)
        tale.more(SECOND)
        tale.more(CRY, chance=0.5)
        tale.paragraph()
        tale.say(RECALL, DID, FOUND)
        tale.more(TALK, chance=0.6)
        tale.close(AFTER, elder_knows=True)
