"""The hero cannot sleep because of a noise, tries several things, and finds the cause."""

from __future__ import annotations

from dataclasses import dataclass

from lilliput.storybook import scenery
from lilliput.storybook.grammar import lines, ways
from lilliput.storybook.phrases import FEEL_QUIETLY
from lilliput.storybook.plot import PLOTS, Case, End, Outline, Plot, Sketch
from lilliput.storybook.tale import Tale

TRIES = (
    ("pulled the blanket over {his} head", "it grew too hot"),
    ("counted one hundred sheep", "the sheep only made {him} laugh"),
    ("turned the pillow around", "the other side was just as warm"),
    ("drank a glass of water", "now {he} had to get up again"),
    ("lay on {his} back, and then on {his} belly", "no side was the right one"),
    ("hummed a quiet song", "{he} was still awake at the end"),
    ("hugged {his} teddy bear", "the bear could not sleep either"),
    ("told {himself} a story", "it was too exciting to stop"),
    ("made {himself} as small as a ball", "{his} toes got cold"),
    ("named all the animals {he} knew", "{he} still was not sleepy after the zebra"),
    ("closed {his} eyes as tight as {he} could", "they kept popping open"),
    ("thought of green hills", "there were noises in the hills too"),
)


@dataclass(frozen=True)
class Night(Case):
    """`noise` keeps the hero awake, and `feared` is the hero's guess about it. `cause` is the true cause, `fix` the
    remedy, and `after` the result."""

    thing: str
    day: str
    noise: str
    feared: str
    cause: str
    fix: str
    then: str


DAY = ways("""
    {when}, {hero} {day} {place.at}.
    {when}, {he} and {elder} were {place.at}, where {hero} {day}.
    {when}, {he} {day} {place.at} until the sun went down.
""")
NIGHT = ways("""
    In the evening, {he} was [tired|very tired] and wanted to [sleep|go to sleep]. But {noise}.
    That night, {hero} wanted to sleep, but {noise}.
    When it [was|grew] dark, {he} [lay|was] in bed and [wanted to sleep|wanted to dream|closed {his} eyes to
        sleep]. [Then|But then] {noise}.
    At night, {elder} [tucked {him} in|turned off the light]. {hero} wanted to sleep. But listen, {noise}!
""")
FEAR = ways("""
    "Is that {feared}?" {he} [whispered|asked].
    What if it was {feared}? {hero} lay very still.
    {hero} thought of {feared}, and {his} heart [beat fast|jumped].
    "I hope it is not {feared}," {he} thought.
""")
FIRST = ways("""
    First, {he} {try1}, but {fail1}.
    {He} {try1}. But {fail1}.
    {hero} {try1}. That was no good, for {fail1}.
""")
SECOND = ways("""
    Then {he} {try2}, but {fail2}.
    Next, {he} {try2}. But {fail2}.
    After that, {hero} {try2}. It did not work, because {fail2}.
""")
CALL = ways("""
    "{elder}!" {he} called. "I cannot sleep. [Come quickly|Please come]!"
    At last, {he} [got up|crept out of bed] and [went to|woke] {elder}. "I cannot sleep," {he} said.
    {elder} heard {him} and came in [with a candle|with a small lamp]. "Can you not sleep?" {elder.he} asked.
    "Why do you not sleep?" asked {elder} at the door. "[I hear something|Listen]," said {hero}.
""")
LOOK = ways("""
    "[Let us see what it is|We will find out]," said {elder}. They [listened|looked everywhere], hand in hand.
    "Then we will go and look," {elder} said. {hero} held {elder.his} arm and went along.
    "[Noises|Things] are only scary [when you do not know|until you know] them," said {elder}. So they went
        to look.
    {hero} was [afraid|not so sure], but with {elder} {he} [dared to look|went to look].
""")
CAUSE = ways("""
    {Cause}!
    And what did they find? {Cause}!
    {hero} had to laugh. {Cause}!
    "[Look there|There it is|So that is it]," said {elder}. {Cause}.
""")
FIX = ways("""
    So they {fix}, and {then}.
    {hero} and {elder} {fix}. Now {then}.
    They {fix}. After that, {then}.
    "We can do something about that," said {elder}. They {fix}, and {then}.
""")
SLEEP = ways("""
    {hero} [crept|climbed] back into bed and [yawned|stretched].
    "Good night, {thing}," said {hero} [and yawned|sleepily].
    {elder} gave {him} a kiss [on the nose|on the head].
    Then the bed was [soft|warm], and the pillow was [cool|just right].
""")
STILL = ways("""
    They {fix}, but {hero} was still awake. "[Some|A few] nights are like that," said {elder}.
    They {fix}. It helped a little, but {hero} lay awake for a long time.
""")
COMFORT = ways("""
    {elder} [read {him} a story|sang to {him}|stayed with {him}] until the sky turned gray.
    "You can rest without sleeping," {elder} said and held {his} {hand}.
""")
AFTER = ways("""
    A moment later, {he} was fast asleep.
    And {he} slept until the sun [came in at|shone through] the window.
    In {his} dream, {he} met the {thing}, and it was very friendly.
    The next night, {he} fell asleep at once.
    {elder} closed the door, and there was not a sound.
""")
AFTER_NEUTRAL = ways("""
    At breakfast, {he} nearly fell asleep in {his} bowl.
    The next day was long, but the next night was good.
    In the morning, both of them yawned and laughed.
""")


@PLOTS.add("bedtime")
class CannotSleep(Plot):
    """Find the cause of a noise in the night."""

    ends = (
        End(
            "happy",
            7,
            feelings=("safe", "calm", "cozy", "sleepy"),
            lessons=lines("""
                most noises have a simple reason
                it is good to look before you are afraid
                the night is not our enemy
                small things sound big in the dark
                together the dark is not so dark
                asking for help is not silly
            """),
        ),
        End(
            "neutral",
            1,
            feelings=("tired", "calm", "safe"),
            lessons=lines("""
                one bad night is not so bad
                morning comes after every night
                it helps not to be alone
            """),
        ),
    )
    cases = (
        Night(
            scenery.GARDEN,
            scenery.SUMMER,
            thing="cricket",
            day="looked for bugs under stones",
            noise="something went chirp, chirp, chirp",
            feared="a squeaky robot",
            cause="A cricket sat in the shoe by the bed",
            fix="carried the shoe to the window and let the cricket hop out",
            then="the song came from far away, like a lullaby",
        ),
        Night(
            scenery.KITCHEN,
            scenery.ANY,
            thing="tap",
            day="washed all the plates",
            noise="something went drip, drip, drip",
            feared="a hungry snake",
            cause="The tap in the kitchen had not been turned off",
            fix="turned the tap until it stopped",
            then="there was not one more drip",
        ),
        Night(
            scenery.YARD,
            scenery.WINDY,
            thing="branch",
            day="climbed around in the old pear tree",
            noise="something scratched at the window",
            feared="a cat with long claws",
            cause="A branch of the pear tree rubbed on the glass in the wind",
            fix="opened the window and tied the branch back",
            then="only the wind was humming",
        ),
        Night(
            scenery.PARK,
            scenery.SUMMER,
            thing="moon",
            day="ran races in the bright sun",
            noise="a white light was on the wall, as bright as day",
            feared="a ghost with a lamp",
            cause="The full moon was looking in between the curtains",
            fix="closed the curtains and left one tiny crack",
            then="there was only a thin line of light on the floor",
        ),
        Night(
            scenery.FARM,
            scenery.MILD,
            thing="dog",
            day="played fetch with the old dog",
            noise="something growled, up and down, up and down",
            feared="a sleeping bear",
            cause="The old dog lay under the bed and snored",
            fix="rolled the dog over on its side",
            then="the dog breathed without a sound",
        ),
        Night(
            scenery.HOME,
            scenery.WINTER,
            thing="stove",
            day="sat by the stove and ate baked apples",
            noise="something cracked and knocked",
            feared="a burglar with big boots",
            cause="The stove was cooling down, and the iron cracked",
            fix="touched the stove and counted the cracks",
            then="each crack was softer than the one before",
        ),
        Night(
            scenery.ATTIC,
            scenery.ANY,
            thing="mouse",
            day="ate nuts and left the shells on the floor",
            noise="something ran over the ceiling on tiny feet",
            feared="a dwarf with a sack",
            cause="A mouse was carrying the nut shells away, one by one",
            fix="swept up the shells and put them outside for the mouse",
            then="the mouse had no more reason to run around up there",
        ),
        Night(
            scenery.BEACH,
            scenery.SUMMER,
            thing="sand",
            day="dug holes as deep as a well",
            noise="something scratched and tickled in the sheets",
            feared="a hundred ants",
            cause="The whole bed was full of sand from the beach",
            fix="shook the sheets out of the window until the sand was gone",
            then="the bed was smooth again",
        ),
        Night(
            scenery.MARKET,
            scenery.MILD,
            thing="clock",
            day="chose a new clock for the bedroom",
            noise="something went tick, tock, tick, tock",
            feared="a beetle with a hammer",
            cause="The new clock was working as hard as it could",
            fix="wrapped the clock in a scarf and put it in the drawer",
            then="the tick was as soft as a heartbeat",
        ),
        Night(
            scenery.STREET,
            (scenery.WINDY_AUTUMN, scenery.WINDY_SPRING),
            thing="door",
            day="flew a paper plane between the houses",
            noise="something banged, stopped, and banged again",
            feared="an angry giant",
            cause="The door of the shed was open and swung in the wind",
            fix="shut the door and put a brick in front of it",
            then="nothing banged any more",
        ),
        Night(
            scenery.POND,
            scenery.SPRING,
            thing="frogs",
            day="watched the frogs and copied their jumps",
            noise="something roared, quack and croak and croak again",
            feared="a monster from the swamp",
            cause="The frogs were giving a concert in the moonlight",
            fix="listened to the frogs for three songs and then shut the window",
            then="the frogs sounded small and far away",
        ),
        Night(
            scenery.FAIR,
            scenery.WARM,
            thing="belly",
            day="ate too much pink candy",
            noise="something rumbled like a far storm",
            feared="a dragon under the floor",
            cause="It was {hero}'s own belly that made the noise",
            fix="cooked some tea, and {elder} rubbed the belly in circles",
            then="the rumbling stopped",
        ),
    )

    def things(self) -> tuple[str, ...]:
        return ("sleep",)

    def plan(self, sketch: Sketch) -> Outline:
        case: Night = sketch.case
        (try1, fail1), (try2, fail2) = sketch.two(TRIES)
        sketch.let(thing=case.thing, day=case.day, noise=case.noise, feared=case.feared)
        sketch.let(Cause=case.cause, fix=case.fix, then=case.then)
        sketch.let(try1=try1, fail1=fail1, try2=try2, fail2=fail2)
        slots, happy = sketch.slots, sketch.ending == "happy"
        return Outline(
            thing="sleep",
            want="to sleep",
            obstacle=case.noise,
            attempts=sketch.attempts(slots["try1"], slots["try2"]),
            resolution=slots["fix"] if happy else "lay awake for a long time",
            objects=(case.thing,),
            helper=str(slots["elder"]),
            words=(),
        )

    def tell(self, tale: Tale) -> None:
        tale.open()
        tale.scene()
        tale.say(DAY)
        tale.paragraph()
        tale.say(NIGHT)
        tale.unless_short(FEAR, FIRST)
        tale.more(SECOND)
        tale.paragraph()
        tale.say(CALL, LOOK, CAUSE)
        if tale.ending == "neutral":
            tale.say(STILL, COMFORT)
            tale.close(AFTER_NEUTRAL, elder_knows=True)
            return
        tale.say(FIX)
        tale.more(SLEEP, chance=0.6)
        tale.close(AFTER, elder_knows=True, feel=FEEL_QUIETLY)
