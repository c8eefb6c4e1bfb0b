"""The hero wants to learn a skill, fails for a reason, gets good advice, practices, and succeeds."""

from __future__ import annotations

from dataclasses import dataclass

from lilliput.storybook import scenery
from lilliput.storybook.grammar import lines, ways
from lilliput.storybook.plot import PLOTS, Case, End, Length, Outline, Plot, Sketch
from lilliput.storybook.tale import Tale


@dataclass(frozen=True)
class Skill(Case):
    """`do` is the skill, and `seen` somebody with this skill. Two failures follow, with their reasons. `tip` is the
    elder's advice, `better` the hero's next try, and `can` the success at the end."""

    thing: str
    do: str
    seen: str
    fails: tuple[tuple[str, str], ...]
    tip: str
    better: str
    can: str


SEEN = ways("""
    {when}, {he} was {place.at} and saw {seen}.
    {when}, {hero} was {place.at} with {elder} and saw {seen}.
    {when}, {hero} [stood|sat] {place.at} and watched {seen}.
""")
WANT = ways("""
    {hero} wanted to {do} too.
    "I want to {do} too!" said {hero}.
    "I [wish I could|would love to] {do}," {hero} said. {He} wanted it [very much|more than anything].
    From that moment, {he} wanted to learn to {do}.
""")
FIRST = ways("""
    {He} [tried|began] [at once|right away]. {He} {fail1}, because {why1}.
    The first time, {hero} {fail1}, because {why1}.
    But it was [hard|harder than it looked]. {hero} {fail1}, for {why1}.
    {He} tried to {do}, but {why1}, and {he} {fail1}.
""")
SECOND = ways("""
    {He} tried again. This time {why2}, and {he} {fail2}.
    The second time, {why2}, and {hero} {fail2}.
    Then {he} tried once more, but {why2}. {hero} {fail2}.
    "Once more," {he} said. But {why2}, and {he} {fail2}.
""")
UPSET = ways("""
    "I will never learn to {do}!" {he} [cried|said].
    "It is too hard for me," [said|sighed] {hero}.
    {hero} [stamped {his} foot|sat down on the ground|wanted to give up].
    "Why can everybody do it but me?" {he} [asked|cried].
""")
TIP = ways("""
    "[Nobody can do it the first time|It is hard at first]," said {elder}. "{tip}."
    {elder} had been watching. "{tip}," {elder.he} said.
    "[May I help|Can I help you]?" asked {elder}. "{tip}."
    "Let me tell you a secret," said {elder}. "{tip}."
    "It took me [a whole week|many days] to learn to {do}," {elder} said. "{tip}."
""")
PRACTICE = ways("""
    {hero} {better}. {He} [practiced|tried it] [ten times|again and again|until it was time for lunch].
    So {he} {better}. It was a little better [each|every] time.
    {He} {better}, [and it worked a little|and that helped]. So {he} did it again, and again.
    {hero} [nodded|listened] and {better}. {He} did not stop [until it worked|for a long time].
""")
CAN = ways("""
    And then it happened. {can}!
    At last, {he} could {do}. {can}.
    "Look, {elder}!" {he} [called|shouted]. {can}.
    {can}. "[I can do it|I did it]!" {hero} [called|shouted|cried].
""")
NOT_YET = ways("""
    When it [grew late|was time to go], {hero} still could not do it [well|very well].
    It was better than before, but {hero} [failed|missed] more often than not.
    The day ended, and {he} still could not {do} [as well as {he} wished|well].
""")
TOMORROW = ways("""
    "You are [closer|better] than this morning," said {elder}. "Tomorrow we will try again."
    {elder} [patted {his} back|took {his} {hand}]. "It will come," {elder.he} said. "Learning to {do} takes
        more than a day."
""")
AFTER = ways("""
    The next day, {he} went [back|again] {place.to} and could still {do}.
    {hero} even showed {his} [little cousin|best friend] how to {do}.
    And soon {he} could {do} as well as anybody.
    "Next, I want to learn something even harder," {he} said.
    That night, {he} fell asleep with sore arms and a big smile.
""")
AFTER_NEUTRAL = ways("""
    In {his} dreams, {he} could {do} already.
    {He} put {his} shoes by the door, ready for the next day.
    {hero} [looked back|looked around] once more and said, "See you tomorrow."
""")


@PLOTS.add("skill")
class Learn(Plot):
    """Learn a skill."""

    ends = (
        End(
            "happy",
            7,
            feelings=("proud", "happy", "glad", "excited"),
            lessons=lines("""
                practice makes hard things easy
                everybody has to begin somewhere
                falling is a part of learning
                good advice is worth listening to
                those who keep trying get there
                nobody is born knowing everything
            """),
        ),
        End(
            "neutral",
            1,
            feelings=("tired", "hopeful", "calm"),
            lessons=lines("""
                learning takes time
                a small step is still a step
                it is all right to need another day
            """),
        ),
    )
    cases = (
        Skill(
            scenery.STREET,
            scenery.MILD,
            thing="bike",
            do="ride a bike",
            seen="a girl ride by on a bike",
            fails=(
                ("fell to one side", "the bike was too slow"),
                ("rode into a hedge", "{he} was looking at {his} feet"),
            ),
            tip="Look far ahead and keep the wheels rolling",
            better="looked at the end of the street and kept rolling",
            can="The bike rolled on and on, straight as an arrow",
        ),
        Skill(
            scenery.POOL,
            scenery.SUMMER,
            thing="pool",
            do="swim across the pool",
            seen="some big children swim across the pool",
            fails=(
                ("sank like a stone", "{his} arms were too stiff"),
                ("swallowed some water", "{he} lifted {his} head too high"),
            ),
            tip="Be soft like a frog, and breathe out slowly",
            better="kicked like a frog and made bubbles",
            can="{He} touched the wall on the other side of the pool",
        ),
        Skill(
            scenery.POND,
            (scenery.COLD_WINTER, scenery.FROSTY_WINTER),
            thing="ice",
            do="skate on the ice",
            seen="a man skate in circles on the ice",
            fails=(
                ("sat down hard", "{his} feet went two ways"),
                ("landed in a heap of snow", "{he} did not know how to stop"),
            ),
            tip="Bend your knees and take small steps like a penguin",
            better="bent {his} knees and walked like a penguin",
            can="{He} glided over the ice and turned a full circle",
        ),
        Skill(
            scenery.MEADOW,
            scenery.MILD,
            thing="tune",
            do="whistle a tune",
            seen="a shepherd who could whistle a tune to call the dog",
            fails=(("only made a wet sound", "{his} lips were too wide"), ("got dizzy", "{he} blew much too hard")),
            tip="Make a tiny hole with your lips and blow softly",
            better="made a tiny hole with {his} lips and blew softly",
            can="A clear tune came out, and the dog came running",
        ),
        Skill(
            scenery.PLAYGROUND,
            scenery.MILD,
            thing="rope",
            do="jump rope",
            seen="three children jump rope and sing",
            fails=(
                ("tripped over the rope", "{he} jumped too early"),
                ("got the rope around {his} neck", "{his} arms went too wide"),
            ),
            tip="Listen to the rope, and jump when it taps the ground",
            better="listened to the tap, tap, tap",
            can="{He} jumped over the rope thirty times without a stop",
        ),
        Skill(
            scenery.HOME,
            scenery.ANY,
            thing="bow",
            do="tie a bow",
            seen="a cousin tie a bow on each shoe",
            fails=(
                ("made a fat knot", "the loops were too loose"),
                ("tied two shoes together", "{he} mixed up the laces"),
            ),
            tip="Make two rabbit ears and let one hop under the other",
            better="made two rabbit ears and let one hop under the other",
            can="There was a neat bow on each shoe",
        ),
        Skill(
            scenery.PARK,
            scenery.MILD,
            thing="ball",
            do="catch a ball",
            seen="two boys throw and catch a ball",
            fails=(
                ("let it fall", "{he} had shut {his} eyes"),
                ("got it on the nose", "{his} {hands} came up too late"),
            ),
            tip="Watch the ball all the way into your {hands}",
            better="watched the ball all the way",
            can="The ball landed in {his} {hands} and stayed there",
        ),
        Skill(
            scenery.SCHOOL,
            scenery.ANY,
            thing="horse",
            do="draw a horse",
            seen="a big girl draw a horse",
            fails=(
                ("drew something like a table", "the legs were too straight"),
                ("drew something like a cow", "the neck was too short"),
            ),
            tip="Begin with two eggs and a long neck between them",
            better="drew two eggs and a long neck",
            can="The horse on the paper looked as if it could run away",
        ),
        Skill(
            scenery.LAKE,
            scenery.WARM,
            thing="boat",
            do="row a boat",
            seen="an old man row a boat to the other side",
            fails=(
                ("went around in circles", "one arm was stronger"),
                ("splashed everybody", "the oars were too flat"),
            ),
            tip="Pull with both arms at once, slow and deep",
            better="pulled slow and deep with both arms",
            can="The boat went straight across the lake",
        ),
        Skill(
            scenery.HILL,
            scenery.WINTER,
            thing="hill",
            do="ski down the hill",
            seen="people ski down the hill like birds",
            fails=(
                ("slid down backward", "{his} skis pointed the wrong way"),
                ("fell into the soft snow", "{he} leaned back too far"),
            ),
            tip="Make your skis look like a slice of pie",
            better="made a slice of pie with {his} skis",
            can="{He} came down the hill in one long line",
        ),
        Skill(
            scenery.KITCHEN,
            scenery.ANY,
            thing="pancake",
            do="flip a pancake",
            seen="{elder} flip a pancake",
            fails=(
                ("dropped the pancake on the floor", "{he} threw it too far"),
                ("tore the pancake in half", "it was still wet"),
            ),
            tip="Wait for bubbles, and flip with your wrist",
            better="waited for bubbles and moved only {his} wrist",
            can="The pancake turned over in the air and landed in the pan",
        ),
        Skill(
            scenery.GARDEN,
            scenery.WARM,
            thing="cartwheel",
            do="turn a cartwheel",
            seen="the neighbor's children turn a cartwheel on the grass",
            fails=(
                ("rolled over like a log", "{his} arms were bent"),
                ("landed on {his} back", "{he} stopped in the middle"),
            ),
            tip="Reach for the sky first, and keep your arms straight",
            better="reached for the sky and kept {his} arms straight",
            can="{His} feet flew over {his} head in a perfect cartwheel",
        ),
        Skill(
            scenery.HALL,
            scenery.ANY,
            thing="drum",
            do="play the drum",
            seen="a band with a man who could play the drum",
            fails=(
                ("lost the beat", "{he} went faster and faster"),
                ("dropped a stick", "{he} held the sticks too tight"),
            ),
            tip="Say your own name with every beat and do not hurry",
            better="said {his} own name with every beat",
            can="{He} played the drum so well that people began to dance",
        ),
    )

    def plan(self, sketch: Sketch) -> Outline:
        case: Skill = sketch.case
        (fail1, why1), (fail2, why2) = sketch.two(case.fails)
        sketch.let(do=case.do, seen=case.seen, tip=case.tip, better=case.better, can=case.can)
        sketch.let(fail1=fail1, why1=why1, fail2=fail2, why2=why2)
        slots, happy = sketch.slots, sketch.ending == "happy"
        return Outline(
            thing=case.thing,
            want=f"to {case.do}",
            obstacle=slots["why1"],
            attempts=(slots["fail1"], slots["fail2"])[: 1 + (sketch.length is Length.LONG)],
            resolution=slots["can"] if happy else f"still could not {case.do}",
            helper=str(slots["elder"]),
            words=(case.do.split()[0],),
        )

    def tell(self, tale: Tale) -> None:
        tale.open()
        tale.scene()
        tale.say(SEEN, WANT)
        tale.paragraph()
        tale.say(FIRST)
        tale.more(SECOND)
        tale.more(UPSET, chance=0.6)
        tale.paragraph()
        tale.say(TIP, PRACTICE)
        if tale.ending == "neutral":
            tale.say(NOT_YET, TOMORROW)
            tale.close(AFTER_NEUTRAL, elder_knows=True)
            return
        tale.say(CAN)
        tale.close(AFTER, elder_knows=True)
