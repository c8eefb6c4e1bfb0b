"""The hero wants another's thing, whose owner wants a second thing, and a chain of fair trades leads to it."""

from __future__ import annotations

from dataclasses import dataclass

from lilliput.storybook import scenery
from lilliput.storybook.grammar import capital, lines, noun, ways
from lilliput.storybook.plot import PLOTS, Case, End, Outline, Plot, Sketch
from lilliput.storybook.tale import Tale


@dataclass(frozen=True)
class Chain(Case):
    """`owner` has the wanted `thing` and would rather have `second`, because of `lack2`; `other` has `second` and
    would rather have `third`, because of `lack3`; the hero can get `third` by `work`."""

    thing: str
    why: str
    owner: str
    second: str
    lack2: str
    other: str
    third: str
    lack3: str
    work: str


SEE = ways("""
    {when}, {he} went {place.to} and saw {owner.a} with {thing.a}. {hero} wanted {thing.the} {why}.
    {when}, {hero} met {owner.a} {place.at}. {owner.He} had {thing.a}, and {hero} wanted it {why}.
    {when}, {hero} was {place.at}, where {owner.a} had {thing.a}. "I want that {thing} {why}," {he}
        [thought|said].
""")
ASK = ways("""
    "[May|Can] I have your {thing}, please?" {hero} asked {owner}.
    "What do you want for your {thing}?" {hero} asked {owner}.
    {hero} [asked|told] {owner}, "I would like to have your {thing}[|, please]."
    "[Good day|Hello]," {hero} said to {owner}. "Will you [give me|trade me] {thing.the}?"
""")
TERMS = ways("""
    "[Bring me|Find me|Get me] {second}," said {owner}, "for {lack2}."
    "If you bring me {second}, it is yours," {owner} [said|answered]. "{Lack2}."
    "{Lack2}," said {owner}. "Bring me {second}, and you can have it."
    {owner.Name} scratched {owner.his} head. "I need {second}, for {lack2}," {owner.he} said.
""")
OTHER = ways("""
    {hero} [asked here and there|looked everywhere]. At last {he} found {other.a} with {second}.
    {hero} had no {second_bare}. But {he} [knew|remembered] {other.a} who had one, and {he} ran there.
    So {hero} went to {other.a} who had {second}.
""")
TERMS2 = ways("""
    "You can have it for {third}," said {other}. "{Lack3}."
    "{Lack3}," said {other}. "Give me {third}, and I will give you {second_the}."
    {other.Name} smiled. "I would trade it for {third}, because {lack3}," {other.he} said.
    "[Hm|Well]," said {other}, "{lack3}. You can have {second_the} for {third}."
""")
WORK = ways("""
    {hero} did not have {third}. But {he} could work. {He} {work}.
    "[I have none, but I can get it|I will find a way|I know what to do|Wait for me]," said {hero}. {He}
        {work}.
    {hero} thought [hard|about it]. Then {he} {work}.
    {hero} ran home to {elder} and told {elder.him}. "[You can earn that|You could work for it|You will find
        a way]," said {elder}. So {hero} {work}.
""")
SWAP = ways("""
    {hero} gave {third_the} to {other} and got {second_the}. [Then|At once] {he} ran to {owner} and got
        {thing.the}.
    {hero} traded {third_the} for {second_the}, and {second_the} for {thing.the}.
    In the end, {other} got {third_the}, {owner} got {second_the}, and {hero} got {thing.the}.
    First {other} took {third_the} and gave {him} {second_the}. Then {owner} took {second_the} and gave {him}
        {thing.the}.
""")
HAPPY = ways("""
    "[A fair trade|That was a fair trade]!" said {owner} [and shook {his} {hand}|with a laugh].
    All three of them were [pleased|happy] with what they had got.
    "You worked hard for it," said {owner}. "[Enjoy it|Take good care of it]!"
    {hero} [held {thing.the} up|hugged {thing.the}]. Now {he} had it {why}.
""")
GONE = ways("""
    {hero} got {second_the} for {third_the}. But when {he} came back, {owner} had [left|gone] with
        {thing.the}.
    {other.Name} took {third_the} and gave {him} {second_the}. {hero} ran back, but {owner} had
        [already|just] sold {thing.the}.
""")
KEPT = ways("""
    {hero} stood there with {second}. It was not {thing.the}, but it was [good|useful] too.
    "At least I have {second}," said {hero}. "[Who knows what it is good for|Maybe I can trade it again]?"
    {hero} took {second_the} home and showed it to {elder}. "You did [well|all you could]," {elder.he} said.
""")
AFTER = ways("""
    From that day on, {owner} always [waved|smiled] when {hero} came by.
    {hero} [ran|skipped] home with {thing.the} in {his} {hands}.
    {elder} could hardly believe how {he} had got {thing.the}.
    That night, {he} [fell asleep|lay in bed] and thought of {thing.the}.
    And when {other} [met|saw] {hero} again, {other.he} said, "Thank you for {third_the}!"
""")
AFTER_NEUTRAL = ways("""
    Some weeks later, {hero} traded {second_the} for something even better.
    {hero} put {second_the} on the shelf, where {he} could see it.
    {He} walked home slowly, but {he} did not cry.
""")


@PLOTS.add("trade")
class Trade(Plot):
    """Get something by trading fairly."""

    ends = (
        End(
            "happy",
            8,
            feelings=("happy", "proud", "glad", "pleased"),
            lessons=lines("""
                a fair trade makes everybody happy
                it helps to ask what others need
                a long way can be a good way
                a good plan has many steps
                what you work for is worth more
                listening is the start of a good trade
            """),
        ),
        End(
            "neutral",
            1,
            feelings=("a little sad", "calm", "patient"),
            lessons=lines("""
                not every plan works out
                hard work is never lost
                what we get is sometimes not what we wanted
            """),
        ),
    )
    cases = (
        Chain(
            scenery.MARKET,
            scenery.MILD,
            thing="puppet",
            why="to play theater",
            owner="puppet maker",
            second="a brush",
            lack2="my brush has lost its hair",
            other="painter",
            third="a basket of apples",
            lack3="I am hungry and cannot leave my picture",
            work="picked apples for a farmer and got a basket of them",
        ),
        Chain(
            scenery.FARM,
            scenery.MILD,
            thing="egg",
            why="to bake a birthday cake",
            owner="farmer",
            second="a bucket",
            lack2="my old bucket has a hole",
            other="milkman",
            third="a carrot",
            lack3="my horse is hungry",
            work="pulled weeds in the garden at home until there was a carrot to dig up",
        ),
        Chain(
            scenery.SQUARE,
            scenery.MILD,
            thing="flute",
            why="to play music",
            owner="musician",
            second="a scarf",
            lack2="my throat is cold",
            other="weaver",
            third="a pot of honey",
            lack3="I have a bad cough",
            work="helped a beekeeper all day and got a pot of honey",
        ),
        Chain(
            scenery.BEACH,
            scenery.SUMMER,
            thing="shell",
            why="to hear the sea at home",
            owner="diver",
            second="a hat",
            lack2="the sun burns my head",
            other="hat maker",
            third="a fan",
            lack3="it is so hot in my shop",
            work="folded a big fan out of paper",
        ),
        Chain(
            scenery.FOREST,
            scenery.MILD,
            thing="lantern",
            why="to read in bed",
            owner="woodcutter",
            second="a whistle",
            lack2="my dog does not hear me call",
            other="shepherd",
            third="a stick",
            lack3="my old stick broke when I crossed the river",
            work="found a long branch and cut it smooth",
        ),
        Chain(
            scenery.STREET,
            scenery.MILD,
            thing="wheel",
            why="to fix a broken cart",
            owner="mechanic",
            second="a sandwich",
            lack2="I had no time to eat",
            other="baker",
            third="a bag of nuts",
            lack3="I want to make a nut cake",
            work="gathered nuts under the old trees until the bag was full",
        ),
        Chain(
            scenery.SCHOOL,
            scenery.ANY,
            thing="marble",
            why="to play with",
            owner="tall girl",
            second="a pencil",
            lack2="my old pencil is too short to hold",
            other="quiet boy",
            third="a cookie",
            lack3="I forgot my lunch",
            work="dried plates for the school cook and got a cookie",
        ),
        Chain(
            scenery.FAIR,
            scenery.WARM,
            thing="balloon",
            why="to let it fly over the house",
            owner="balloon seller",
            second="a drink",
            lack2="I have been calling all day and my mouth is dry",
            other="lemonade seller",
            third="a bag of lemons",
            lack3="I have only one lemon left",
            work="carried boxes for the fruit seller and got a bag of lemons",
        ),
        Chain(
            scenery.POND,
            scenery.WARM,
            thing="net",
            why="to catch falling leaves",
            owner="old man",
            second="a chair",
            lack2="my legs are tired",
            other="carpenter",
            third="a box of nails",
            lack3="I cannot build without nails",
            work="picked up the lost nails behind the shed until the box was full",
        ),
        Chain(
            scenery.LIBRARY,
            scenery.ANY,
            thing="map",
            why="to look for treasure",
            owner="librarian",
            second="a cat",
            lack2="there are mice among the books",
            other="neighbor",
            third="a bell",
            lack3="I never hear it when somebody is at my door",
            work="cleaned the windows of a bell maker and got a bell",
        ),
        Chain(
            scenery.STATION,
            scenery.ANY,
            thing="cap",
            why="to be a train driver",
            owner="train driver",
            second="a clock",
            lack2="my clock has stopped, and the train will be late",
            other="clockmaker",
            third="a spring",
            lack3="one tiny part is missing on my table",
            work="took apart a broken toy and found a spring inside",
        ),
        Chain(
            scenery.GARDEN,
            scenery.SPRING,
            thing="rose",
            why="to give it away as a present",
            owner="gardener",
            second="a rake",
            lack2="my old rake has lost its teeth",
            other="farmer",
            third="a sack",
            lack3="my potatoes have nothing to lie in",
            work="sewed a sack out of old cloth",
        ),
    )

    def plan(self, sketch: Sketch) -> Outline:
        case: Chain = sketch.case
        thing = sketch.slots["thing"] = noun(case.thing)
        owner, other = sketch.meet("owner", case.owner), sketch.meet("other", case.other)
        sketch.let(why=case.why, second=case.second, third=case.third, work=case.work)
        sketch.let(lack2=case.lack2, Lack2=capital(case.lack2), lack3=case.lack3, Lack3=capital(case.lack3))
        second_bare, third_bare = case.second.partition(" ")[2], case.third.partition(" ")[2]
        sketch.let(second_bare=second_bare, second_the=f"the {second_bare}", third_the=f"the {third_bare}")
        happy = sketch.ending == "happy"
        return Outline(
            thing=thing,
            want=f"to get {thing.the} {case.why}",
            obstacle=f"{owner} wanted {case.second} for it, and {other} wanted {case.third} for that",
            attempts=(case.work,),
            resolution=f"traded for {thing.the}" if happy else f"{owner} was gone",
            objects=(second_bare, third_bare),
        )

    def tell(self, tale: Tale) -> None:
        tale.open()
        tale.scene()
        tale.say(SEE)
        tale.paragraph()
        tale.say(ASK, TERMS, OTHER, TERMS2)
        tale.paragraph()
        tale.say(WORK)
        if tale.ending == "happy":
            tale.say(SWAP)
            tale.more(HAPPY, chance=0.7)
            tale.close(AFTER)
        else:
            tale.say(GONE, KEPT)
            tale.close(AFTER_NEUTRAL)
