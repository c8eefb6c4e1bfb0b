"""Two friends build something, it falls for a reason, they remove the reason, and they use their building."""

from __future__ import annotations

from dataclasses import dataclass

from lilliput.storybook import scenery
from lilliput.storybook.grammar import capital, lines, noun, ways
from lilliput.storybook.plot import PLOTS, Case, End, Outline, Plot, Sketch
from lilliput.storybook.tale import Tale


@dataclass(frozen=True)
class Building(Case):
    """`use` is the purpose of the building. `first` is the first way to build it, `fell` its accident and `reason` the
    reason for it. `better` is the second way to build it, and `stands` the result."""

    thing: str
    looks: tuple[str, ...]
    use: str
    first: str
    fell: str
    reason: str
    better: str
    stands: str
    enjoy: str


IDEA = ways("""
    {when}, {hero} and {his} friend {friend.full} were {place.at}. They wanted to build {thing.a} {use}.
    {when}, {he} met {his} friend {friend.full} {place.at}. "I want to build {thing.a} {use}," {hero} said.
    {when}, {hero} [had a plan|had an idea]. {He} wanted to build {thing.a} {use}, and {his} friend
        {friend.full} came {place.to} to help.
    {when}, {he} and {his} friend {friend.full} met {place.at}. "Let us build {thing.a} {use}!" said {friend}.
        {hero} wanted that too.
""")
AGREE = ways("""
    "[Yes|Good idea], let us begin [right away|at once]!" said {friend}.
    "How do we [start|begin]?" asked {friend}. "I know how," {hero} said.
    {friend} [clapped {friend.his} {hands}|jumped up and down]. "{thing.One} of our own!" {friend.he} said.
    "It will be the best {thing} in the world," said {hero}.
""")
FIRST = ways("""
    They {first}. It [looked good|was quick work|was soon done].
    First, they {first}.
    So {hero} and {friend} {first}, and they sang as they worked.
    They {first}. "[How easy|That was fast]!" [said|laughed] {friend}.
""")
FELL = ways("""
    But then {fell}.
    They were [just about|going|ready] to [cheer|try it] when {fell}.
    "[Look out|Oh no]!" {hero} called, for {fell}.
    It was hardly done when {fell}.
""")
UPSET = ways("""
    "All that work for nothing!" [cried|said] {friend}.
    {friend} wanted to [give up|go home], but {hero} [did not|thought hard|shook {his} head].
    They [looked at each other|sat down and sighed].
    {hero} kicked a stone. "It is no use," {he} said.
""")
WHY = ways("""
    "Why did it happen?" asked {hero}. They looked closely. {reason}.
    {elder} [came by|came to see]. "[Why did it fall apart|What went wrong]?" {elder.he} asked. Then {hero}
        saw it. {reason}.
    Then {friend} [pointed|looked closer]. {reason}. "[That is why|So that is it]!" {friend.he} said.
    {hero} walked around it [once|twice] and thought. {reason}.
""")
BETTER = ways("""
    So they began again. This time they {better}.
    "Let us try it another way," said {hero}. They {better}.
    {hero} and {friend} did not give up. They {better}.
    They worked [until noon|for a long time] and {better}.
""")
STANDS = ways("""
    [Now|At last] {stands}.
    They held their breath. {Stands}!
    "[Look|See that]!" {friend} [called|said]. {Stands}.
    And this time {stands}.
""")
ENJOY = ways("""
    {hero} and {friend} {enjoy}.
    "[We did it|Hooray]!" they [shouted|cried], and they {enjoy}.
    They [shook hands|hugged each other], and then they {enjoy}.
    All [day|afternoon] long, they {enjoy}.
""")
AFTER = ways("""
    "Tomorrow we will build [another one|a bigger one]," said {friend}.
    {elder} came {place.to} to [see|look at] {thing.the} and was amazed.
    They called it [Fort Friend|the Two of Us|Hero Hall].
    Other children [asked|wanted to know] how they had made {thing.the}, and {hero} told them.
    When {hero} went to bed, {he} was already thinking of the next {thing}.
""")
LOST = ways("""
    So they began again. They {better}, but it was too late in the day, and they could not finish it.
    They {better}. But then it grew dark, and {friend} had to go home before {thing.the} was done.
""")
TOMORROW = ways("""
    "It is not finished," said {hero}. "But we know how to do it now," {friend} [said|answered].
    {elder} came to call them in. "A good {thing} is not built in a day," {elder.he} said.
""")
AFTER_NEUTRAL = ways("""
    {hero} looked at the half {thing} once more and waved to {friend}.
    They put a cloth over {thing.the} and went home.
    "Tomorrow, first thing in the morning," said {friend}.
""")


@PLOTS.add("build")
class Build(Plot):
    """Build something together."""

    friend = True
    ends = (
        End(
            "happy",
            8,
            feelings=("proud", "happy", "glad", "excited"),
            lessons=lines("""
                a mistake can show you the way
                it is worth asking why
                two can do more than one
                strong things take time
                trying again makes things better
                good work needs a good start
            """),
        ),
        End(
            "neutral",
            1,
            feelings=("tired", "hopeful", "patient"),
            lessons=lines("""
                good things take more than a day
                half done is well begun
                there is always a tomorrow
            """),
        ),
    )
    cases = (
        Building(
            scenery.BEACH,
            scenery.SUMMER,
            thing="castle",
            looks=("tall", "great", "splendid"),
            use="with four towers",
            first="heaped up dry sand close to the sea",
            fell="a wave came and washed it flat",
            reason="The sand was too dry, and the sea was too near",
            better="used wet sand and built farther up the beach",
            stands="the castle stood firm, and no wave could reach it",
            enjoy="put a feather on each tower and played king and queen",
        ),
        Building(
            scenery.HOME,
            scenery.ANY,
            thing="tent",
            looks=("big", "cozy", "secret"),
            use="out of blankets",
            first="hung a blanket over two chairs",
            fell="the blanket slid down on their heads",
            reason="Nothing held the blanket at the sides",
            better="put heavy books on the corners of the blankets",
            stands="the tent stayed up, even when they crawled in and out",
            enjoy="told each other stories in the tent by the light of a lamp",
        ),
        Building(
            scenery.FOREST,
            scenery.WARM,
            thing="hut",
            looks=("small", "green", "secret"),
            use="to play in",
            first="leaned some sticks against a tree",
            fell="a breeze blew, and all the sticks rolled away",
            reason="The sticks were not tied at the top",
            better="tied the sticks with long grass and covered them with leaves",
            stands="the hut did not even shake in the wind",
            enjoy="ate berries in the hut and listened to the birds",
        ),
        Building(
            scenery.RIVER,
            scenery.WARM,
            thing="bridge",
            looks=("little", "strong", "wooden"),
            use="to get to the other side",
            first="laid a thin branch across the water",
            fell="the branch broke with a loud crack",
            reason="The branch was much too thin for their weight",
            better="rolled two thick logs side by side and filled the gap with stones",
            stands="the bridge held both of them at once",
            enjoy="ran over the bridge and back again ten times",
        ),
        Building(
            scenery.HILL,
            (scenery.SNOWY_WINTER,),
            thing="fort",
            looks=("great", "white", "round"),
            use="out of snow",
            first="piled up loose snow with their boots",
            fell="one side slid down and buried a boot",
            reason="The snow was too loose and had not been pressed",
            better="pressed the snow into blocks and set block on block",
            stands="the fort was as strong as stone",
            enjoy="hid in the fort and threw snowballs at a tree",
        ),
        Building(
            scenery.LAKE,
            scenery.SUMMER,
            thing="raft",
            looks=("flat", "sturdy", "wooden"),
            use="to float on",
            first="tied three logs with wool",
            fell="the wool got wet and broke, and the logs drifted apart",
            reason="Wool is soft and cannot hold wet logs",
            better="used thick rope and made a double knot at each end",
            stands="the raft floated and did not come apart",
            enjoy="sat on the raft and let their feet hang in the water",
        ),
        Building(
            scenery.KITCHEN,
            scenery.ANY,
            thing="tower",
            looks=("tall", "crazy", "shaky"),
            use="out of cups and boxes",
            first="put the big boxes on top of the small cups",
            fell="it leaned to one side and crashed to the floor",
            reason="The heavy things were at the top",
            better="put the heavy boxes at the bottom and the light cups on top",
            stands="the tower reached up to the lamp",
            enjoy="lay on the floor and looked up at the tower",
        ),
        Building(
            scenery.FIELD,
            scenery.WARM,
            thing="scarecrow",
            looks=("funny", "fat", "friendly"),
            use="to guard the corn",
            first="stuffed an old shirt with leaves and stood it up",
            fell="the wind blew the leaves out, and the crows laughed",
            reason="The shirt was open at the bottom, and leaves are light",
            better="sewed the shirt shut and filled it with straw",
            stands="the scarecrow waved its arms, and not one crow came near",
            enjoy="danced around the scarecrow",
        ),
        Building(
            scenery.YARD,
            scenery.MILD,
            thing="car",
            looks=("fast", "red", "wooden"),
            use="with four wheels",
            first="nailed old plates to a box",
            fell="the plates cracked, and the box sat on the ground",
            reason="Plates can break, and wheels must be strong",
            better="took the wheels of an old cart and put them on the box",
            stands="the car rolled all the way to the fence",
            enjoy="took turns to steer and to push",
        ),
        Building(
            scenery.GARDEN,
            scenery.SPRING,
            thing="pond",
            looks=("little", "round", "deep"),
            use="for the frogs",
            first="dug a hole and filled it with water",
            fell="the water sank into the ground and was gone",
            reason="The earth drank the water like a sponge",
            better="lined the hole with clay and flat stones",
            stands="the water stayed, clear and cool",
            enjoy="watched as the first frog jumped in",
        ),
        Building(
            scenery.WORKSHOP,
            scenery.ANY,
            thing="robot",
            looks=("tall", "silver", "silly"),
            use="that could stand on two legs",
            first="glued tin cans together",
            fell="a leg came off, and the robot fell on its nose",
            reason="The glue was still wet",
            better="let the glue dry and tied the legs with wire",
            stands="the robot stood there and shone like a star",
            enjoy="gave the robot a name and a hat",
        ),
        Building(
            scenery.PARK,
            scenery.AUTUMN,
            thing="nest",
            looks=("giant", "soft", "warm"),
            use="to lie in",
            first="threw dry leaves into a heap",
            fell="a gust of wind blew half of it away",
            reason="There was nothing around the leaves to hold them",
            better="laid a ring of branches and filled it with leaves",
            stands="the nest kept its shape",
            enjoy="curled up in the nest like two young birds",
        ),
    )

    def plan(self, sketch: Sketch) -> Outline:
        case: Building = sketch.case
        thing = sketch.slots["thing"] = noun(case.thing, sketch.pick(case.looks))
        sketch.let(use=case.use, first=case.first, fell=case.fell, reason=case.reason, better=case.better)
        sketch.let(stands=case.stands, Stands=capital(case.stands), enjoy=case.enjoy)
        happy = sketch.ending == "happy"
        return Outline(
            thing=thing,
            want=f"to build {thing.a}",
            obstacle=case.reason,
            attempts=(case.first, case.better),
            resolution=case.stands if happy else "could not finish it that day",
            words=(thing.adj, "build"),
        )

    def tell(self, tale: Tale) -> None:
        tale.open()
        tale.scene()
        tale.say(IDEA)
        tale.more(AGREE, chance=0.6)
        tale.paragraph()
        tale.say(FIRST, FELL)
        tale.more(UPSET, chance=0.5)
        tale.say(WHY)
        tale.paragraph()
        if tale.ending == "neutral":
            tale.say(LOST, TOMORROW)
            tale.close(AFTER_NEUTRAL, elder_knows=True)
            return
        tale.say(BETTER, STANDS, ENJOY)
        tale.close(AFTER)
