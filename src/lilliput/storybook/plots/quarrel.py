"""Two friends want the same thing, fight over it, are sorry, and find a way for both."""

from __future__ import annotations

from dataclasses import dataclass

from lilliput.storybook import scenery
from lilliput.storybook.grammar import lines, noun, ways
from lilliput.storybook.plot import PLOTS, Case, End, Outline, Plot, Sketch
from lilliput.storybook.tale import Tale


@dataclass(frozen=True)
class Fight(Case):
    """`mine` and `yours` are the hero's and the friend's plans for the thing. `harm` is the result of the fight. `idea`
    is a way for both, in one friend's words, and `shared` its result."""

    thing: str
    mine: str
    yours: str
    harm: str
    idea: str
    shared: str


MEET = ways("""
    {when}, {hero} and {his} friend {friend.full} [met|played] {place.at}. There they [found|saw] {thing.a}.
    {when}, {he} was {place.at} with {his} friend {friend.full}. There was {thing.a}, but only one.
    {when}, {hero} went {place.to} to play with {his} friend {friend.full}. They [found|saw] {thing.a}.
""")
BOTH = ways("""
    {hero} wanted to {mine}, but {friend} wanted to {yours}.
    "I want to {mine}!" said {hero}. "No, I want to {yours}!" said {friend}.
    {hero} wanted {thing.the} to {mine}. {friend} wanted it too, to {yours}.
    "Give me {thing.the}! I want to {mine}," said {hero}. But {friend} wanted to {yours}.
""")
PULL = ways("""
    {hero} pulled on one side, and {friend} pulled on the other.
    "[It is mine|I had it first]!" [cried|shouted] {hero}. "No, [it is mine|I had it first]!" [cried|shouted]
        {friend}.
    They both [held on|pulled] and would not let go.
    {hero} [grabbed|took] {thing.the}. {friend} [grabbed|took] it back.
    They [shouted|yelled] at each other until [their faces were red|both were red in the face].
""")
HARM = ways("""
    Then {harm}.
    They [pulled|fought] [and pulled|harder], and {harm}.
    All at once, {harm}.
    It went on like this until {harm}.
""")
BLAME = ways("""
    "Look what you did!" [cried|said|shouted] {hero} [and turned around|and stamped {his} foot|angrily].
    "I [will never|will not|do not want to] play with you [again|any more]!" said {hero}.
    "It is your fault," said {friend}, and {hero} said the same.
    {hero} turned {his} back, and {friend} [began to cry|walked away].
    {friend} [cried|sat down and cried]. {hero} was angry and [looked away|said nothing].
""")
ALONE = ways("""
    {hero} sat [alone|by {himself}]. [Playing|It] was no fun without {friend}.
    {hero} kicked the ground. {He} did not feel good at all.
    Now it was very quiet. {hero} [looked at|thought about] {friend} and {his} anger [went away|grew small].
    {hero} went home and told {elder}. "What is worth more, {thing.a} or a friend?" {elder} asked.
    {elder} had [heard|seen] it. "{thing.One} cannot laugh with you, but {friend} can," {elder.he} said to
        {hero}.
""")
SORRY = ways("""
    So {hero} went [over|back] to {friend}. "I am sorry," {he} said. "I am sorry too," said {friend}.
    "I am sorry that I [shouted|was mean]," {hero} said. {friend} wiped {friend.his} eyes. "So am I,"
        {friend.he} said.
    {hero} [held out|gave {friend}] {his} {hand}. "Let us be friends again," {he} said, and {friend} nodded.
    "Please forgive me," {hero} said to {friend}. "I was [mean|wrong]." "I was too," said {friend}.
""")
IDEA = ways("""
    [Then|After a while,] {friend} had an idea. "{idea}," {friend.he} said.
    Then {hero} had an idea. "{idea}," {he} said.
    They thought about {thing.the} together. "{idea}," {friend} said at last.
    "How can we both have fun?" asked {hero}. "{idea}!" said {friend}.
""")
SHARED = ways("""
    That is what they did. {shared}.
    They tried it, and it worked. {shared}.
    {shared}, and there was no more shouting.
    {shared}, and they [laughed|giggled] all the time.
    It was [even better|much more fun] that way. {shared}.
""")
TOO_LATE = ways("""
    {hero} went back to say sorry, but {friend} had gone home.
    When {hero} looked up, {friend} was gone. [There was nobody to play with|{thing.The} was no fun now].
    {hero} ran to find {friend}. But {friend}'s door was closed, and nobody opened.
""")
LETTER = ways("""
    That evening, {hero} [drew a picture|wrote a letter] for {friend}. "I am sorry," it said.
    "Will {friend} ever play with me again?" {hero} asked. "Tell {friend.him} tomorrow that you are sorry,"
        said {elder}.
    "[Tomorrow|In the morning], I will tell {friend} that I am sorry," {hero} said to {elder}.
""")
AFTER = ways("""
    {hero} and {friend} played until [it was time for supper|the sun went down|they were tired].
    From then on, they shared {thing.the} every time.
    "[Same time tomorrow|Tomorrow again]?" asked {friend}. "Yes!" said {hero}.
    They went home [arm in arm|side by side].
    And nobody remembered who had {thing.the} first.
""")
AFTER_SAD = ways("""
    It took {him} a long time to fall asleep.
    {thing.The} lay [in the corner|on the ground], and {he} did not want it any more.
    {He} could hardly wait for the next day.
""")


@PLOTS.add("quarrel")
class Quarrel(Plot):
    """Quarrel, and make up."""

    friend = True
    unfit = frozenset({"gentle", "kind", "polite", "friendly"})
    ends = (
        End(
            "happy",
            7,
            feelings=("happy", "glad", "cheerful", "relieved"),
            lessons=lines("""
                sharing is more fun than fighting
                a friend is worth more than a toy
                it is good to say sorry
                there is often a way for both
                fighting makes everybody lose
                a kind word ends a fight
            """),
        ),
        End(
            "sad",
            1,
            feelings=("sad", "sorry", "lonely"),
            lessons=lines("""
                a fight can hurt for a long time
                it is best to say sorry at once
                a toy is no fun without a friend
                angry words are hard to take back
            """),
        ),
    )
    cases = (
        Fight(
            scenery.PLAYGROUND,
            scenery.MILD,
            thing="swing",
            mine="fly as high as the trees",
            yours="spin around like a top",
            harm="the swing hit them both, and they fell down in the sand",
            idea="One can push and one can swing, and then we change",
            shared="Each of them had twenty turns",
        ),
        Fight(
            scenery.HOME,
            scenery.ANY,
            thing="drum",
            mine="play a march",
            yours="play a rain song",
            harm="the drumstick flew off and hit a cup, and the cup broke",
            idea="One can drum and one can sing, and then we change",
            shared="They made a song about a marching frog in the rain",
        ),
        Fight(
            scenery.BEACH,
            scenery.SUMMER,
            thing="bucket",
            mine="carry water for a lake",
            yours="make a tower of sand",
            harm="the handle came off, and both of them sat down in a puddle",
            idea="First we make your tower, and then we put my lake around it",
            shared="The tower stood in the lake like a real castle",
        ),
        Fight(
            scenery.HILL,
            (scenery.SNOWY_WINTER,),
            thing="sled",
            mine="race down the hill",
            yours="pull it like a horse",
            harm="the sled slid away without them and landed in a ditch",
            idea="We both fit on it if we sit close together",
            shared="They raced down together, and each took a turn at being the horse",
        ),
        Fight(
            scenery.SCHOOL,
            scenery.ANY,
            thing="brush",
            mine="paint a blue sea",
            yours="paint a green hill",
            harm="the paint jar tipped over, and the paper turned brown",
            idea="You can paint the top and I can paint the bottom, one after the other",
            shared="Their picture had a hill by the sea, and the teacher hung it up",
        ),
        Fight(
            scenery.PARK,
            scenery.MILD,
            thing="ball",
            mine="kick it",
            yours="throw it",
            harm="the ball jumped away and rolled right into the mud",
            idea="I throw, you kick, and we count how often we hit the tree",
            shared="They hit the tree eleven times",
        ),
        Fight(
            scenery.STREET,
            scenery.RAINY,
            thing="umbrella",
            mine="stay dry on the way to the shop",
            yours="stay dry on the way to school",
            harm="the umbrella turned inside out, and they both got wet",
            idea="It is big enough for two, and we can go to both places",
            shared="They walked close together, first to the shop and then to school",
        ),
        Fight(
            scenery.LIBRARY,
            scenery.ANY,
            thing="book",
            mine="look at the pirates",
            yours="look at the maps",
            harm="a page tore with a loud rip, and everybody stared at them",
            idea="We can read it side by side and glue the page first",
            shared="They glued the page and then followed the pirates on the maps",
        ),
        Fight(
            scenery.YARD,
            scenery.MILD,
            thing="wagon",
            mine="be the driver",
            yours="move some stones",
            harm="the wagon tipped over, and a stone fell on their toes",
            idea="I drive the stones to you, and you build a wall",
            shared="By noon there was a wall as long as a bed",
        ),
        Fight(
            scenery.ATTIC,
            scenery.ANY,
            thing="crown",
            mine="be the queen of the moon",
            yours="be the king of the sea",
            harm="the crown bent in the middle and lost a jewel",
            idea="The moon and the sea can have a party and take turns with the crown",
            shared="They fixed the crown and danced at the party of the moon and the sea",
        ),
        Fight(
            scenery.KITCHEN,
            scenery.ANY,
            thing="cookie",
            mine="eat it right now",
            yours="save it for a picnic",
            harm="the cookie fell on the floor and broke",
            idea="Now there are two pieces, and we can have a picnic right here",
            shared="They sat under the table and ate the cookie bit by bit",
        ),
        Fight(
            scenery.LAKE,
            scenery.WARM,
            thing="raft",
            mine="fish from it",
            yours="sail to the island",
            harm="the raft rocked and threw them both into the water",
            idea="We can sail to the island and fish there",
            shared="They sailed to the island and caught one small fish and let it go",
        ),
        Fight(
            scenery.GARDEN,
            scenery.WARM,
            thing="hose",
            mine="water the flowers",
            yours="make a rainbow",
            harm="the hose twisted like a snake and soaked them from head to toe",
            idea="If we hold it up to the sun, the flowers get water and we get a rainbow",
            shared="A rainbow hung over the flowers all afternoon",
        ),
    )

    def plan(self, sketch: Sketch) -> Outline:
        case: Fight = sketch.case
        thing = sketch.slots["thing"] = noun(case.thing, sketch.pick(scenery.COLORS))
        sketch.let(mine=case.mine, yours=case.yours, harm=case.harm, idea=case.idea, shared=case.shared)
        friend = sketch.slots["friend"]
        happy = sketch.ending == "happy"
        return Outline(
            thing=thing,
            want=f"to {case.mine} with {thing.the}",
            obstacle=f"{friend} wanted to {case.yours}",
            attempts=("fought over it",),
            resolution=case.shared if happy else f"{friend} went home",
            words=(thing.adj,),
        )

    def tell(self, tale: Tale) -> None:
        tale.open()
        tale.scene()
        tale.say(MEET, BOTH)
        tale.paragraph()
        tale.say(PULL, HARM)
        tale.more(BLAME)
        tale.paragraph()
        if tale.ending == "sad":
            tale.say(TOO_LATE, LETTER)
            tale.close(AFTER_SAD, elder_knows=True)
            return
        tale.more(ALONE)
        tale.say(SORRY)
        if tale.chance(0.5):
            tale.paragraph()
        tale.say(IDEA, SHARED)
        tale.close(AFTER)
