"""A thing lands in a place that the hero cannot reach, and an animal that can reach such places fetches it."""

from __future__ import annotations

from dataclasses import dataclass

from lilliput.storybook import scenery
from lilliput.storybook.barriers import HOLE, THORNS, TOWER, TREE, WATER, Barrier
from lilliput.storybook.grammar import lines, noun, ways
from lilliput.storybook.plot import PLOTS, Case, End, Outline, Plot, Sketch
from lilliput.storybook.tale import Tale


@dataclass(frozen=True)
class Stuck(Case):
    """`lost` tells the way of the thing to its place. `spot` is the place and `way` the way to it. `because` is the
    reason why the hero cannot reach it. `gone` tells the loss, if nobody comes."""

    thing: str
    lost: str
    spot: str
    way: str
    because: str
    barrier: Barrier
    gone: str


START = ways("""
    {when}, {he} went {place.to} with {his} {thing.full}. {lost}
    {when}, {hero} took {his} {thing.full} {place.to}. {lost}
    {when}, {he} was {place.at} with {his} {thing.full}. {lost}
""")
WANT = ways("""
    {hero} wanted {his} {thing} back, but {because}.
    {hero} looked at {spot}. {He} wanted {his} {thing} back, but {because}.
    "Oh no, my {thing}!" [cried|said|called] {hero}. {He} wanted it back, but {because}.
    "My {thing}! I want it back!" [cried|said|called] {hero}. But {because}.
""")
FIRST = ways("""
    First, {he} {try1}, but {fail1}.
    {He} {try1}. But {fail1}.
    {hero} {try1}, but {fail1}.
    {hero} had an idea. {He} {try1}, but {fail1}.
""")
SECOND = ways("""
    Then {he} {try2}, but {fail2}.
    Next, {he} {try2}. That did not work, because {fail2}.
    After that, {he} {try2}. But {fail2}.
    So {hero} {try2}. It was no good, for {fail2}.
""")
SIT = ways("""
    {hero} [sat down|sighed] and [wanted to cry|did not know what to do].
    {hero} hung {his} head. "[How can I get|Will I ever get] my {thing} back?" {he} said.
    "Now what?" {hero} [said|asked] and [kicked|looked at] {his} own feet.
    A tear ran down {hero}'s [cheek|face|nose].
""")
ARRIVE = ways("""
    [Just then|At that moment|Soon], {helper.a} [came by|came along|stopped beside {him}].
    {helper.A} [had seen it all|was watching from nearby] and came [over|closer].
    {hero} heard a [small|soft|friendly] voice. It was {helper.a}.
""")
ASK = ways("""
    "Why [do you look so sad|are you so sad|is your face so long]?" [asked {helper}|{helper.he} asked].
    "What [is the matter|is wrong|happened]?" [asked {helper}|{helper.he} asked].
    "Can I help you?" [asked {helper}|{helper.he} asked].
""")
ANSWER = ways("""
    "My {thing} is stuck, and {now}," said {hero}. "I can {can}," {helper} [said|answered]. "Let me try!"
    {hero} pointed to {spot}. "I cannot get my {thing}." "But I can {can}!" said {helper}.
    "I want my {thing}, but {now}," [said {hero}|{hero} told {helper.him}].
        "Wait here. I can {can}," said {helper}.
""")
ACT = ways("""
    {helper.Name} {moves} {way}, took {thing.the} in {helper.his} {holds}, and brought it [back|back to
        {hero}].
    {helper.Name} {moves} {way} and came back with {thing.the} in {helper.his} {holds}.
    [Quickly|At once], {helper} {moves} {way}. [Soon|A moment later] {helper.he} was back with {thing.the}.
""")
THANKS = ways("""
    "Thank you[| so much|, thank you]!" [said|cried|called] {hero}. {He} gave {helper} {food}, and
        {helper.he} ate
        [it all up|every bit].
    {hero} thanked {helper} and gave {helper.him} {food}.
    "You are so [kind|clever]!" said {hero}, and {he} shared {food} with {helper}.
    {hero} [hugged|held] {his} {thing}. "Thank you, my friend," {he} said, and {he} gave {helper} {food}.
""")
GONE = ways("""
    Then {gone}. "[Oh no|No]!" cried {hero}. It was too late.
    {hero} waited and waited, but nobody came. Then {gone}.
    "Wait, I will find help!" {hero} called. But then {gone}.
""")
COMFORT = ways("""
    {hero} ran home and told {elder}. "I am sorry about your {thing}," said {elder} and held {him} close.
    At home, {elder} dried {his} tears. "I know you loved that {thing}," {elder.he} said. "We can make a new
        one."
    {elder} found {hero} crying. "Was it your {thing}?" {elder.he} asked, and {hero} nodded.
""")
AFTER = ways("""
    All the way home, {he} held {thing.the} tight.
    {hero} waved until {helper} was [out of sight|far away].
    After that, {hero} and {helper} [often met|were friends and met again and again] {place.at}.
    That night, {thing.the} [lay|slept] next to {his} pillow.
    And {helper} got {food} every time {he} came {place.to}.
""")
AFTER_SAD = ways("""
    That night, {he} dreamed of {his} {thing}.
    The next day, {hero} and {elder} began to make a new {thing}.
    {hero} drew a picture of {thing.the} and put it over {his} bed.
""")


@PLOTS.add("reach")
class Reach(Plot):
    """Get back a thing from a place that is too high, too deep, too narrow or too prickly."""

    ends = (
        End(
            "happy",
            7,
            feelings=("happy", "glad", "thankful", "lucky"),
            lessons=lines("""
                a small friend can be a big help
                everyone is good at something
                it is all right to ask for help
                friends can be found in many places
                a kind word can bring a new friend
                nobody has to do it all alone
                what is hard for one is easy for another
            """),
        ),
        End(
            "sad",
            1,
            feelings=("sad", "very sad", "sorry"),
            lessons=lines("""
                some things do not come back
                it is all right to cry
                a sad day does not last for ever
                what we love stays in our hearts
            """),
        ),
    )
    cases = (
        Stuck(
            scenery.PARK,
            scenery.WINDY,
            thing="kite",
            lost="The kite flew high, but then the string snapped, and it landed in the top of a tall tree.",
            spot="the top of the tree",
            way="up to the top of the tree",
            because="the tree was too tall",
            barrier=TREE,
            gone="the wind carried the kite away over the hills",
        ),
        Stuck(
            scenery.FARM,
            scenery.MILD,
            thing="cap",
            lost="A goat tossed the cap into the air with its horns, and it landed on the roof of the barn.",
            spot="the roof of the barn",
            way="up to the roof",
            because="the roof was too high",
            barrier=TOWER,
            gone="the cap slid into the chimney and was burned",
        ),
        Stuck(
            scenery.POND,
            scenery.WINDY,
            thing="hat",
            lost="A strong wind took the hat and dropped it in the middle of the pond.",
            spot="the middle of the pond",
            way="out to the middle of the pond",
            because="the water was too deep",
            barrier=WATER,
            gone="the hat filled with water and sank",
        ),
        Stuck(
            scenery.RIVER,
            scenery.WARM,
            thing="boat",
            lost="{He} set the little boat on the water, and it sailed off and got stuck behind a rock.",
            spot="the rock on the other side of the river",
            way="across the river",
            because="the river was too wide",
            barrier=WATER,
            gone="the boat came loose and sailed away to the sea",
        ),
        Stuck(
            scenery.FOREST,
            scenery.MILD,
            thing="marble",
            lost="{He} let the marble run down the path, and it rolled into a hollow log.",
            spot="the hollow log",
            way="deep into the log",
            because="the log was too narrow",
            barrier=HOLE,
            gone="the marble dropped through a crack and was gone",
        ),
        Stuck(
            scenery.SQUARE,
            scenery.MILD,
            thing="coin",
            lost="{He} tossed the coin in the air, and it fell through a crack between the stones.",
            spot="the crack between the stones",
            way="down into the crack",
            because="the crack was too small",
            barrier=HOLE,
            gone="the coin slipped into the drain with a splash",
        ),
        Stuck(
            scenery.MEADOW,
            scenery.WARM,
            thing="glove",
            lost="A puppy ran off with the glove in play and dropped it in a big thorn bush.",
            spot="the thorn bush",
            way="right into the thorn bush",
            because="the thorns were too sharp",
            barrier=THORNS,
            gone="the wind pulled the glove deep into the bush, where nobody could see it",
        ),
        Stuck(
            scenery.GARDEN,
            scenery.MILD,
            thing="ring",
            lost="{He} spun the ring on a flat stone, and it rolled away and fell down a hole in the ground.",
            spot="the hole in the ground",
            way="down the hole",
            because="the hole was too deep",
            barrier=HOLE,
            gone="the sides of the hole fell in and buried the ring",
        ),
        Stuck(
            scenery.SQUARE,
            scenery.WARM,
            thing="balloon",
            lost="The string slipped away, and the balloon rose up until it was caught on the clock tower.",
            spot="the clock tower",
            way="up to the clock",
            because="the tower was too high",
            barrier=TOWER,
            gone="the balloon went pop",
        ),
        Stuck(
            scenery.FOREST,
            (scenery.SNOWY_WINTER,),
            thing="scarf",
            lost="The scarf got caught on a low branch. {He} pulled, and the branch sprang up with the scarf on it.",
            spot="the branch high above",
            way="up to the branch",
            because="the branch was too high now",
            barrier=TREE,
            gone="the branch tore the scarf to pieces",
        ),
        Stuck(
            scenery.BEACH,
            scenery.SUMMER,
            thing="feather",
            lost="The wind blew the feather out of {his} {hand} and dropped it on a rock in the sea.",
            spot="the rock in the sea",
            way="out to the rock",
            because="the waves were too big",
            barrier=WATER,
            gone="a big wave washed the feather away",
        ),
        Stuck(
            scenery.LAKE,
            scenery.WARM,
            thing="bottle",
            lost="The bottle slid off the dock with a splash and floated to the middle of the lake.",
            spot="the middle of the lake",
            way="out to the middle of the lake",
            because="the lake was too deep",
            barrier=WATER,
            gone="the bottle floated out of sight",
        ),
        Stuck(
            scenery.ORCHARD,
            scenery.WARM,
            thing="ribbon",
            lost="The wind pulled the ribbon loose and hung it on a rose bush full of thorns.",
            spot="the rose bush",
            way="into the middle of the bush",
            because="the bush was too prickly",
            barrier=THORNS,
            gone="the wind blew again, and the ribbon flew out of sight",
        ),
    )

    def plan(self, sketch: Sketch) -> Outline:
        case: Stuck = sketch.case
        thing = sketch.slots["thing"] = noun(case.thing, sketch.pick(scenery.COLORS))
        (try1, fail1), (try2, fail2) = sketch.two(case.barrier.tries)
        sketch.let(lost=case.lost, spot=case.spot, way=case.way, because=case.because, gone=case.gone)
        sketch.let(now=case.because.replace(" was ", " is ").replace(" were ", " are "))
        sketch.let(try1=try1, fail1=fail1, try2=try2, fail2=fail2)
        helper = resolution = ""
        if sketch.ending == "happy":
            friend = sketch.pick(case.barrier.helpers)
            helper = sketch.meet("helper", friend.kind)
            sketch.let(can=friend.can, moves=friend.moves, holds=friend.holds, food=friend.food)
            resolution = f"{helper} {friend.moves} {case.way} and brought {thing.the} back"
        return Outline(
            thing=thing,
            want=f"to get {thing.the} back",
            obstacle=case.because,
            attempts=sketch.attempts(sketch.slots["try1"], sketch.slots["try2"]),
            resolution=resolution or case.gone,
            helper=helper,
            words=(thing.adj,),
        )

    def tell(self, tale: Tale) -> None:
        tale.open()
        tale.scene()
        tale.say(START)
        tale.paragraph()
        tale.say(WANT)
        tale.unless_short(FIRST)
        tale.more(SECOND)
        if tale.ending == "sad":
            tale.say(GONE)
            tale.paragraph()
            tale.say(COMFORT)
            tale.close(AFTER_SAD, elder_knows=True)
            return
        tale.more(SIT, chance=0.6)
        tale.paragraph()
        tale.say(ARRIVE)
        tale.unless_short(ASK)
        tale.say(ANSWER)
        tale.paragraph()
        tale.say(ACT)
        tale.unless_short(THANKS)
        tale.close(AFTER)
