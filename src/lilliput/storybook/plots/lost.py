"""A dear thing is lost, and the hero finds it by thinking back over the day."""

from __future__ import annotations

from dataclasses import dataclass

from lilliput.storybook import scenery
from lilliput.storybook.grammar import lines, noun, ways
from lilliput.storybook.plot import PLOTS, Case, End, Outline, Plot, Sketch
from lilliput.storybook.tale import Tale

INDOORS = (
    ("under the bed", "a dusty sock"),
    ("behind the sofa", "an old penny"),
    ("in the toy box", "a box of blocks"),
    ("under the table", "a crumb of bread"),
    ("behind the curtain", "a sleepy fly"),
    ("in the drawer", "a ball of string"),
    ("on the shelf", "a row of books"),
)
OUTDOORS = (
    ("behind the bench", "a brown leaf"),
    ("under a bush", "a snail"),
    ("in the tall grass", "a grasshopper"),
    ("next to the path", "a round stone"),
    ("behind a tree", "a row of ants"),
    ("under a log", "a black beetle"),
    ("beside the gate", "an old bucket"),
)


@dataclass(frozen=True)
class Lost(Case):
    """`busy` is the hero's and the elder's work during which the thing was lost, and `memory` this work in the hero's
    words. `spot` is the place of the lost thing."""

    thing: str
    busy: str
    memory: str
    spot: str
    searched: tuple[tuple[str, str], ...]


DEAR = ways("""
    {He} had {thing.a} that {he} [loved|took everywhere|liked best of all].
    {His} [best|dearest] thing was {thing.a}.
    Wherever {he} went, {his} {thing.full} [went too|came along].
    {elder} had given {him} {thing.a}, and {he} [loved it|took it everywhere].
""")
BUSY = ways("""
    {when}, {hero} and {elder} {busy}. {hero} had {his} {thing} with {him}.
    {when}, {he} took {thing.the} along when {he} and {elder} {busy}.
    {when}, {hero} and {elder} {busy}. It was [hard work|fun|a happy {time}], and {thing.the} came too.
""")
GONE = ways("""
    [Later|After that|When they were done], {hero} [felt for|looked for] {his} {thing}. It was gone!
    But when they [stopped|were done|rested], {thing.the} was [gone|not there].
    "Where is my {thing}?" {hero} [asked|cried] [later|when they were done]. It was gone!
    Then {hero} saw that {his} {thing} was [gone|missing|lost].
""")
WANT = ways("""
    {He} wanted {his} {thing} back.
    {He} wanted it back more than anything.
    "I want my {thing}!" {he} [said|cried].
    "I want to find my {thing}," {he} said.
""")
LOOK = ways("""
    {He} looked {where1}, but [there was only|found only] {found1}.
    First, {he} looked {where1}. There was {found1}, but no {thing}.
    {He} looked {where1} and saw {found1}, but not {his} {thing}.
    {hero} ran to look {where1}. All {he} found was {found1}.
""")
LOOK_ON = ways("""
    Then {he} looked {where2}. There was {found2}, but no {thing}.
    Next, {he} looked {where2}, but [found only|there was only] {found2}.
    {He} looked {where2} too. All {he} found was {found2}.
    "Maybe it is {where2}," {he} thought. But {he} found only {found2}.
""")
UPSET = ways("""
    {hero} [began to cry|wanted to cry|felt a lump in {his} throat].
    "I will never find it," [said|sighed] {hero}.
    "It is not anywhere!" {hero} [cried|said].
""")
ADVICE = ways("""
    "[Let us think|Think back]," said {elder}. "[When|Where] did you [have|see] it last?"
    {elder} [sat down with {him}|took {his} {hand}]. "[What did we do today|Where have you been today]?"
        {elder.he} asked.
    "Do not run around," said {elder}. "[Stop and think|Close your eyes]. [When|Where] did you have it last?"
    "[Running|Crying] will not [help|find it]," {elder} [said|told {him}]. "What did you do [with it|today]?"
    "Looking everywhere takes long," {elder} said. "Let us think [first|instead]."
""")
THINK = ways("""
    {hero} [closed {his} eyes and thought|thought hard]. "I had it when {memory}," {he} said.
    "I [know|remember]!" said {hero} [at last|slowly]. "I [still had|had] it when {memory}."
    "When {memory}, it was still with me," said {hero}.
    {hero} thought [for a while|and thought]. "[It was with me|I held it|It was in my {hand}] when {memory}!"
        {he} [said|called].
""")
FIND = ways("""
    They went back and looked {spot}. [There was {thing.the}|{thing.The} was there]!
    So they looked {spot}, and there was [{his}|the lost] {thing}!
    {hero} ran to look {spot}. "[I found my {thing}|Here is my {thing}]!" {he} [called|cried].
    All at once {he} knew where it was. {He} looked {spot} and pulled out {his} {thing}.
""")
JOY = ways("""
    {elder} [clapped|laughed|smiled]. "You found it by thinking," {elder.he} said.
    "Well done!" said {elder}. "[Your head|Thinking] was faster than your feet."
    {hero} [kissed|hugged] {thing.the} and then {he} [kissed|hugged] {elder}.
    {hero} [wiped|dusted] {thing.the} off and held it [close|to {his} heart].
""")
EMPTY = ways("""
    They went back and looked {spot}, but {thing.the} was not there [either|any more].
    So they looked {spot}. It was [empty|not there]. Somebody must have [taken it|picked it up].
    They looked {spot}, and they looked [all around|again and again], but {thing.the} did not turn up.
""")
COMFORT = ways("""
    "I am sorry, {hero}," said {elder}. "We looked as well as we could."
    {elder} held {hero} in {elder.his} arms. "It is hard to lose {thing.one}," {elder.he} said.
    "[Perhaps|Maybe] another child [will find it|has it now] and will love it too," said {elder}.
""")
AFTER = ways("""
    That night, {hero} put {his} {thing} [under {his} pillow|next to {his} bed].
    From then on, {thing.the} had its own [hook|box|place] by the door.
    {hero} sewed a [string|ribbon] on {thing.the}, so that it could not get lost.
    {elder} wrote {hero}'s name on {thing.the}, just in case.
    And {thing.the} stayed in {his} {hand} all the way home.
""")
AFTER_SAD = ways("""
    That night, {elder} read {him} two stories [instead of one|until {he} slept].
    {hero} [hoped|wished] that somebody was good to {his} {thing} now.
    In the evening, they made [hot cocoa|warm soup] and talked about {thing.the}.
""")


@PLOTS.add("lost")
class Search(Plot):
    """Find a lost thing."""

    ends = (
        End(
            "happy",
            7,
            feelings=("happy", "glad", "relieved", "cheerful"),
            lessons=lines("""
                thinking can be faster than running
                it helps to stop and think
                lost things are where we left them
                we should take good care of our things
                a calm head finds more than tears do
                two heads are better than one
            """),
        ),
        End(
            "sad",
            1,
            feelings=("sad", "very sad", "a little empty"),
            lessons=lines("""
                not everything that is lost can be found
                a hug helps when something is lost
                we should take good care of what we love
                it is all right to miss something
            """),
        ),
    )
    cases = (
        Lost(
            scenery.HOME,
            scenery.ANY,
            thing="blanket",
            busy="did the wash at home and carried a pile of sheets",
            memory="we carried the sheets",
            spot="in the wash basket, under the sheets",
            searched=INDOORS,
        ),
        Lost(
            scenery.GARDEN,
            scenery.SUMMER,
            thing="whistle",
            busy="picked beans in the garden and filled a big basket",
            memory="we picked the beans",
            spot="at the bottom of the basket, under the beans",
            searched=OUTDOORS,
        ),
        Lost(
            scenery.BARN,
            scenery.MILD,
            thing="cap",
            busy="stacked the hay in the barn and jumped in it",
            memory="we jumped in the hay",
            spot="deep in the hay",
            searched=OUTDOORS,
        ),
        Lost(
            scenery.LAKE,
            scenery.WARM,
            thing="flute",
            busy="rowed a boat across the lake",
            memory="we sat in the boat",
            spot="under the seat of the boat",
            searched=OUTDOORS,
        ),
        Lost(
            scenery.PARK,
            scenery.AUTUMN,
            thing="spoon",
            busy="raked the dry leaves in the park into a hill",
            memory="we raked the leaves",
            spot="inside the hill of leaves",
            searched=OUTDOORS,
        ),
        Lost(
            scenery.KITCHEN,
            scenery.ANY,
            thing="ring",
            busy="kneaded dough in the kitchen and baked a bread",
            memory="we kneaded the dough",
            spot="inside the warm bread",
            searched=INDOORS,
        ),
        Lost(
            scenery.LIBRARY,
            scenery.ANY,
            thing="bookmark",
            busy="read three thick books at the library",
            memory="we read about the whales",
            spot="between the pages of the whale book",
            searched=INDOORS[1:],
        ),
        Lost(
            scenery.FOREST,
            scenery.WARM,
            thing="cup",
            busy="had a picnic in the forest and packed it all up again",
            memory="we drank our tea",
            spot="at the bottom of the picnic bag",
            searched=OUTDOORS,
        ),
        Lost(
            scenery.BEACH,
            scenery.SUMMER,
            thing="shovel",
            busy="built a castle of sand on the beach with five towers",
            memory="we made the last tower",
            spot="in the sand under the last tower",
            searched=OUTDOORS,
        ),
        Lost(
            scenery.HILL,
            scenery.WINTER,
            thing="mitten",
            busy="rolled a snowman on the hill and gave him a carrot nose",
            memory="we made the snowman's belly",
            spot="in the side of the snowman, where a bit of wool stuck out",
            searched=OUTDOORS[:3] + OUTDOORS[4:],
        ),
        Lost(
            scenery.STATION,
            scenery.ANY,
            thing="doll",
            busy="rode a long train and got off at the train station",
            memory="we looked out of the train window",
            spot="in the box of lost things that the train guard kept",
            searched=(OUTDOORS[0], OUTDOORS[6], INDOORS[3]),
        ),
        Lost(
            scenery.MARKET,
            scenery.MILD,
            thing="bell",
            busy="went to the market and bought a bag of apples",
            memory="we paid for the apples",
            spot="in the bag, between the apples",
            searched=OUTDOORS,
        ),
        Lost(
            scenery.ATTIC,
            scenery.ANY,
            thing="watch",
            busy="went up to the attic and tried on old coats and hats",
            memory="we wore the old coats",
            spot="in the pocket of the longest coat",
            searched=INDOORS,
        ),
    )

    def plan(self, sketch: Sketch) -> Outline:
        case: Lost = sketch.case
        thing = sketch.slots["thing"] = noun(case.thing, sketch.pick(scenery.COLORS))
        (where1, found1), (where2, found2) = sketch.two(case.searched)
        sketch.let(busy=case.busy, memory=case.memory, spot=case.spot)
        sketch.let(where1=where1, found1=found1, where2=where2, found2=found2)
        found = sketch.ending == "happy"
        return Outline(
            thing=thing,
            want=f"to find {thing.the}",
            obstacle=f"{thing.the} was lost",
            attempts=sketch.attempts(f"looked {where1}", f"looked {where2}"),
            resolution=f"{thing.the} was {case.spot}" if found else f"{thing.the} was not found",
            helper=str(sketch.slots["elder"]),
            words=(thing.adj,),
        )

    def tell(self, tale: Tale) -> None:
        tale.open()
        tale.say(DEAR)
        tale.paragraph()
        tale.scene()
        tale.say(BUSY, GONE, WANT)
        tale.paragraph()
        tale.unless_short(LOOK)
        tale.more(LOOK_ON)
        tale.more(UPSET, chance=0.5)
        tale.paragraph()
        tale.say(ADVICE, THINK)
        if tale.ending == "sad":
            tale.say(EMPTY, COMFORT)
            tale.close(AFTER_SAD, elder_knows=True)
            return
        tale.say(FIND)
        tale.more(JOY, chance=0.6)
        tale.close(AFTER, elder_knows=True)
