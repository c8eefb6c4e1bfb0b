"""The hero is afraid of something that stands between the hero and a wish, and overcomes the fear step by step."""

from __future__ import annotations

from dataclasses import dataclass

from lilliput.storybook import scenery
from lilliput.storybook.grammar import Place, lines, ways
from lilliput.storybook.plot import PLOTS, Case, End, Outline, Plot, Sketch
from lilliput.storybook.tale import Tale

DOCTOR = Place("doctor's room", "in the doctor's room", "to the doctor's room")


@dataclass(frozen=True)
class Fear(Case):
    """The hero fears `thing` (`a_thing` after "afraid of"), because of `why`, its appearance. `event` brings it close.
    `want` is the hero's wish without the fear. A try ends in running away. Then come the elder's `advice`, the hero's
    deed that follows it, and `truth`, the thing's real nature."""

    thing: str
    a_thing: str
    why: str
    event: str
    want: str
    tried: str
    fled: str
    advice: str
    did: str
    truth: str


AFRAID = ways("""
    [Only one thing was hard for {him}|There was one thing {he} did not like]. {He} was afraid of {a_thing}.
        {why}
    {He} was [very|so] afraid of {a_thing}. {why}
    {hero} was [not|never] afraid of [much|many things], but {he} was afraid of {a_thing}. {why}
    There was only one trouble: {he} was afraid of {a_thing}. {why}
""")
EVENT = ways("""
    {when}, {event} {hero} wanted {want}.
    {when}, {event} {hero} really wanted {want}.
    {when}, {event} "I want {want}," {he} [said|thought].
""")
FACE = ways("""
    But then {he} thought of the {thing}. {His} knees [shook|felt weak], and {his} heart beat [fast|hard].
    But when {he} thought of the {thing}, {his} [tummy hurt|mouth went dry].
    "But what about the {thing}?" {he} [asked|thought], and {he} [felt cold|began to shake].
    Then {hero} remembered the {thing} and [stood still|could not move].
""")
TRY = ways("""
    {He} {tried}, but {fled}.
    First, {hero} {tried}. But {fled}.
    {hero} {tried}. It did not go well, for {fled}.
    "I can do it," {he} [said|told {himself}]. {He} {tried}, but {fled}.
""")
SEEN = ways("""
    {elder} [saw it|had seen it all] and [came over|sat down with {him}]. "{advice}," {elder.he} said.
    "[Are you afraid|Is it the {thing}]?" asked {elder}. {hero} nodded. "{advice}," said {elder}.
    "I was afraid of {a_thing} too, when I was [small|little]," said {elder}. "{advice}."
    {elder} took {hero}'s {hand}. "{advice}," {elder.he} [said|told {him}].
""")
BRAVE = ways("""
    {hero} [took a deep breath|swallowed hard|thought about it]. Then {he} {did}.
    So {hero} {did}. {His} heart [still beat fast|was loud], but {he} went on.
    {He} was still afraid, but {he} {did}.
    "I will try," {hero} [said|whispered], and {he} {did}.
""")
TRUTH = ways("""
    {truth}
    And then {he} [saw|knew] how it was. {truth}
    It was not [so bad|bad] at all. {truth}
    [What a surprise!|And do you know what?] {truth}
""")
PRAISE = ways("""
    "[You did it|Look at you|How brave you are]!" [called|cried|said] {elder}.
    "[I did it|I was brave]!" {hero} [called|shouted|said]. {elder} [clapped|laughed].
    {elder} [gave {him} a big hug|was so proud of {him}].
""")
ALMOST = ways("""
    {hero} [thought about it|took one step], but {his} legs would not [move|go on]. "[Not today|I cannot do
        it yet]," {he} said.
    {hero} tried once more, but {he} was still too afraid. "[Maybe tomorrow|Not today]," {he}
        [said|whispered].
""")
PATIENT = ways("""
    "That is all right," said {elder}. "You tried, and [tomorrow is a new day|the {thing} can wait]."
    {elder} [smiled|nodded]. "Today you came closer to the {thing} than ever before," {elder.he} said.
""")
AFTER = ways("""
    From that day on, {he} was not [so|very] afraid of {a_thing}.
    The next time, {he} [hardly thought|did not even think] of the {thing}.
    Then {he} wanted to do it again and again.
    {He} told everybody about the {thing} and how brave {he} had been.
    That night, {he} [laughed about|smiled and thought of] the {thing}.
""")
AFTER_NEUTRAL = ways("""
    That night, {hero} [practiced|dreamed of] being brave.
    They walked home hand in hand.
    And {he} promised {himself} to try again.
""")


@PLOTS.add("fear")
class Overcome(Plot):
    """Overcome a fear."""

    unfit = frozenset({"cheerful", "lively"})
    ends = (
        End(
            "happy",
            6,
            feelings=("proud", "happy", "glad", "relieved"),
            lessons=lines("""
                being brave means being afraid and doing it anyway
                scary things get smaller when we look at them
                one small step is enough to begin
                fear goes away when we face it
                it helps to tell somebody when we are afraid
                we are braver than we think
            """),
        ),
        End(
            "neutral",
            1,
            feelings=("a bit braver", "calm", "hopeful"),
            lessons=lines("""
                it is all right to be afraid
                being brave takes time
                there is always another day to try
            """),
        ),
    )
    cases = (
        Fear(
            scenery.HOME,
            scenery.ANY,
            thing="dark",
            a_thing="the dark",
            why="In the dark, every coat looked like a monster.",
            event="all the lights at home went out, and the lamp was down in the cellar.",
            want="to get the lamp",
            tried="ran to the stairs with {his} eyes closed",
            fled="{he} bumped into a chair and ran back",
            advice="Sing a song in the dark, and you will hear that you are not alone",
            did="went down the stairs and sang, one line for each step",
            truth="The monster by the wall was only an old broom.",
        ),
        Fear(
            scenery.BARN,
            (scenery.RAINY_SPRING, scenery.RAINY_AUTUMN),
            thing="thunder",
            a_thing="thunder",
            why="It sounded like a giant who was stamping on the roof.",
            event="a storm began while {he} was in the barn, and a small calf cried in the corner.",
            want="to go and pet the calf",
            tried="put {his} {hands} over {his} ears and got up",
            fled="the next boom sent {him} under the hay",
            advice="Count after each flash. The more you can count, the farther away it is",
            did="counted one, two, three, four, and walked to the calf",
            truth="With each flash there was more to count, and soon the thunder was far away.",
        ),
        Fear(
            scenery.POOL,
            scenery.SUMMER,
            thing="water",
            a_thing="deep water",
            why="It looked as if it had no end.",
            event="all the children were splashing at the pool.",
            want="to play with them",
            tried="put one foot in",
            fled="the water was cold, and {he} jumped back",
            advice="Go in a little at a time, and hold my hand",
            did="went in up to {his} knees, then up to {his} belly, then up to {his} chin",
            truth="The water held {him} up like a soft bed.",
        ),
        Fear(
            scenery.STREET,
            scenery.MILD,
            thing="dog",
            a_thing="the big dog next door",
            why="It had long teeth and a deep bark.",
            event="a letter for the neighbor on the street came to the wrong house.",
            want="to bring the letter to the right door",
            tried="walked up to the gate",
            fled="one bark made {him} run home again",
            advice="Stand still and let it smell your {hand}",
            did="stood still and held out one {hand} through the gate",
            truth="The dog licked {his} fingers and rolled over to have its belly rubbed.",
        ),
        Fear(
            scenery.PLAYGROUND,
            scenery.MILD,
            thing="slide",
            a_thing="the tall slide",
            why="From the top, people looked like ants.",
            event="there were no long lines on the playground for once.",
            want="to go down the slide like everybody else",
            tried="climbed up three steps",
            fled="{he} looked down and climbed back",
            advice="Look only at the next step, never down",
            did="looked at the next step, and the next, until there were no more",
            truth="The ride was like flying, and it was over much too soon.",
        ),
        Fear(
            scenery.SCHOOL,
            scenery.ANY,
            thing="stage",
            a_thing="standing on a stage",
            why="All those eyes would look at {him}.",
            event="there was a show at school, with a song just for {him}.",
            want="to sing that song",
            tried="stepped out from behind the curtain",
            fled="{his} voice was gone, and {he} hid again",
            advice="Look at me and sing it for me alone",
            did="walked to the middle of the stage, looked at one kind face, and sang",
            truth="People clapped so loudly that the lamps shook.",
        ),
        Fear(
            scenery.ATTIC,
            scenery.ANY,
            thing="spider",
            a_thing="the spider upstairs",
            why="It had eight legs and sat right over the door.",
            event="{he} heard that there was a box of old toys up in the attic.",
            want="to open that box",
            tried="threw a shoe through the door",
            fled="the spider moved, and {he} ran down again",
            advice="Look at it closely and see what it is doing",
            did="stood under the web and looked up for a long, long time",
            truth="The spider was only fixing its web, and it was smaller than a thumb.",
        ),
        Fear(
            scenery.RIVER,
            scenery.WARM,
            thing="bridge",
            a_thing="the rope bridge",
            why="It swung and creaked at every step.",
            event="the berries were ripe on the other side of the river.",
            want="to pick a full basket of them",
            tried="put one foot on the first board",
            fled="the board creaked, and {he} pulled {his} foot back",
            advice="Hold the rope, and look at the tree on the other side",
            did="held the rope and walked straight toward the tree",
            truth="The bridge swung only a little, like a cradle.",
        ),
        Fear(
            scenery.GARDEN,
            scenery.SUMMER,
            thing="bees",
            a_thing="bees",
            why="They could sting.",
            event="the strawberries in the garden were red and sweet, with bees all around them.",
            want="to pick some for lunch",
            tried="waved a towel to drive them off",
            fled="they buzzed louder, and {he} ran to the house",
            advice="Move slowly, as if you were a flower in the wind",
            did="moved slowly, and picked one berry after the other",
            truth="The bees cared only about the flowers and let {him} be.",
        ),
        Fear(
            scenery.FARM,
            scenery.MILD,
            thing="horse",
            a_thing="the tall brown horse",
            why="Its feet were as big as plates.",
            event="the farmer let children ride on the farm.",
            want="to ride once around the field",
            tried="walked up from behind",
            fled="the horse swung its tail, and {he} ran behind a cart",
            advice="Come from the front, and offer it an apple on a flat {hand}",
            did="came from the front with an apple on a flat {hand}",
            truth="The lips of the horse were as soft as silk, and it stood still while {he} got on.",
        ),
        Fear(
            DOCTOR,
            scenery.ANY,
            thing="needle",
            a_thing="the needle",
            why="It looked as long as a sword.",
            event="it was time to be checked in the doctor's room.",
            want="to get it over with and go to the zoo",
            tried="held out one arm",
            fled="{he} pulled it away and slid under the chair",
            advice="Squeeze my hand and tell me what you had for breakfast",
            did="squeezed and talked about eggs and jam",
            truth="Before {he} got to the toast, it was over, and it had hurt less than a pinch.",
        ),
        Fear(
            scenery.FOREST,
            scenery.AUTUMN,
            thing="owl",
            a_thing="the owl",
            why="At dusk it called hoo, hoo, like a ghost.",
            event="the other children made a camp in the forest.",
            want="to sleep in the tent with them",
            tried="crept into the tent",
            fled="one hoo made {him} run to the fire",
            advice="Answer it. Call hoo, hoo, right back",
            did="cupped {his} {hands} and called hoo, hoo into the night",
            truth="The owl called back in a friendly way, as if to say good night.",
        ),
    )

    def plan(self, sketch: Sketch) -> Outline:
        case: Fear = sketch.case
        sketch.let(thing=case.thing, a_thing=case.a_thing, why=case.why, event=case.event, want=case.want)
        sketch.let(tried=case.tried, fled=case.fled, advice=case.advice, did=case.did, truth=case.truth)
        slots, happy = sketch.slots, sketch.ending == "happy"
        return Outline(
            thing=case.thing,
            want=case.want,
            obstacle=f"was afraid of {case.a_thing}",
            attempts=(slots["tried"],),
            resolution=slots["did"] if happy else "was still too afraid",
            helper=str(slots["elder"]),
            words=("afraid",),
        )

    def tell(self, tale: Tale) -> None:
        tale.open()
        tale.say(AFRAID)
        tale.scene()
        tale.say(EVENT, FACE)
        tale.paragraph()
        tale.say(TRY, SEEN)
        tale.paragraph()
        if tale.ending == "neutral":
            tale.say(ALMOST, PATIENT)
            tale.close(AFTER_NEUTRAL, elder_knows=True)
            return
        tale.say(BRAVE, TRUTH)
        tale.more(PRAISE)
        tale.close(AFTER, elder_knows=True)
