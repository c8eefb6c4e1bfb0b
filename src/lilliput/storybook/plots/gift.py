"""The hero makes a present for a friend; something is missing, and has to be earned."""

from __future__ import annotations

from dataclasses import dataclass

from lilliput.storybook import scenery
from lilliput.storybook.grammar import lines, noun, ways
from lilliput.storybook.plot import PLOTS, Case, End, Length, Outline, Plot, Sketch
from lilliput.storybook.tale import Tale

REASONS = (
    "{his} friend {friend.full} was sick in bed",
    "it was the birthday of {his} friend {friend.full}",
    "{his} friend {friend.full} had lost a tooth",
    "{his} friend {friend.full} had moved into a new house",
    "{his} friend {friend.full} had been sad all week",
    "{his} friend {friend.full} had a new baby brother",
)


@dataclass(frozen=True)
class Gift(Case):
    """`make` is the work on the present. `lack` is missing, and `without` happens when the hero tries without it.
    `keeper` has it, `lives` introduces the keeper, and `chore` is the work that the keeper asks for (`did` when it is
    done)."""

    thing: str
    look: tuple[str, ...]
    make: str
    need: str
    without: str
    keeper: str
    lives: str
    chore: str
    did: str
    finish: str
    use: str


START = ways("""
    {when}, {he} [remembered|heard] that {reason}.
    {when}, {elder} told {him} that {reason}.
    {when}, {hero} [woke up|sat up] with [a plan|an idea], for {reason}.
    {when}, {hero} was {place.at}. {He} [knew|remembered] that {reason}.
""")
WANT = ways("""
    {hero} wanted to {make} {thing.a} for {friend.him}.
    "I want to {make} {thing.a} for {friend}!" {he} [said|told {elder}].
    So {he} wanted to give {friend} something nice. "I will {make} {thing.a}," {he} [said|thought].
    {He} wanted to make {friend} smile, so {he} [chose|began] to {make} {thing.a}.
""")
LACK = ways("""
    {hero} [got|laid] everything ready {place.at}, but {he} had no {need}.
    {elder} helped {him} look {place.at}, but they had no {need} [at all|left].
    But something was missing {place.at}. They had no {need}.
    {He} looked and looked {place.at}, but {he} [could not find any|found no] {need}.
""")
TRY = ways("""
    {He} tried to do without. But {without}.
    "Maybe I do not need it," {he} [said|thought]. {He} tried, but {without}.
    First, {hero} tried it without {need}, but {without}.
""")
GO = ways("""
    So {he} went to {keeper.a}, who {lives}.
    {He} knew {keeper.a} who {lives}, and {he} [went|ran] there at once.
    "[Go and ask|You could ask] the {keeper.kind}," said {elder}. {hero} [ran|went] to {keeper}, who {lives}.
""")
ASK = ways("""
    "Good {greeting}! May I have some {need}[|, please]?" [asked {hero}|{he} asked].
    "Please, I need {need} for {friend}'s {thing}," [said {hero}|{he} said].
    {hero} told {keeper} about {friend} and asked for some {need}.
    "Could you give me some {need}?" {he} asked. "It is for {friend}."
""")
DEAL = ways("""
    "[Yes|Of course], if you {chore}," said {keeper}.
    "I will give you some," said {keeper}, "but first, please {chore}."
    "I am so busy," said {keeper}. "If you {chore}, you may have some."
    {keeper.Name} [thought for a moment|smiled|nodded]. "[Yes|Sure], if you {chore} [first|for me],"
        {keeper.he} said.
""")
WORK = ways("""
    So {hero} {did}. It took [a long time|an hour|most of the {time}], but {he} did not stop.
    {hero} {did}, and {keeper} [was pleased|was very pleased] and gave {him} the {need}.
    {He} {did}, and [soon|then] {keeper} gave {him} the {need} with a smile.
    {hero} {did}. "[Well done|Good work]!" said {keeper} and gave {him} the {need}.
""")
FINISH = ways("""
    Back {place.at}, {finish}.
    {hero} [ran|hurried] back, and [soon|then] {finish}.
    Now {he} had everything. [Soon|Before long], {finish}.
""")
GIVE = ways("""
    {hero} [carried|took|brought] {thing.the} to {friend}. "[This is for you|I made it for you]!" {he} said.
    Then {he} knocked on {friend}'s door with {thing.the} in {his} {hands}.
    When {friend} saw {thing.the}, {friend.his} eyes [grew big|shone].
    {hero} hid {thing.the} behind {his} back. "Guess what I have!" {he} said to {friend}.
""")
THANKS = ways("""
    "[For me?|Is it really for me?] Thank you!" said {friend}, and {friend.he} {use}.
    {friend} {use}. "[It is the best {thing} ever|I love it]!" {friend.he} said.
    "You made it yourself?" asked {friend}. Then {friend.he} {use}[| and laughed].
    {friend} smiled a big smile and {use}.
""")
AWAY = ways("""
    {hero} took {thing.the} to {friend}'s house and knocked, but {friend} was [not at home|away].
    {hero} brought {thing.the} to {friend}'s door. But nobody [came|was there] to open it.
    {hero} ran to {friend}'s house with {thing.the}. The windows were dark, and {friend} was out.
""")
NOTE = ways("""
    {He} [set|left] {thing.the} [by the door|on the step] with a note that said, "For {friend}."
    "I will come back tomorrow," said {hero}, and {he} carried {thing.the} home again.
    So {he} gave {thing.the} to {friend}'s [neighbor|grandfather], who would keep it until {friend} came home.
""")
AFTER = ways("""
    {hero} and {friend} [sat together|talked and laughed] until the sun went down.
    "[Next time|Tomorrow], let us make one together," said {friend}.
    {friend} [gave {him} a hug|held {his} {hand}] and did not let go for a long time.
    On the way home, {he} thought of {friend}'s face and [smiled|hummed].
    {He} even saved a little {need} for next time.
""")
AFTER_NEUTRAL = ways("""
    All evening, {hero} [wondered|thought about] what {friend} would say.
    {elder} said that waiting is part of giving.
    {He} looked up at {friend}'s window once more and went home.
""")


@PLOTS.add("gift")
class MakeGift(Plot):
    """Make a present."""

    friend = True
    ends = (
        End(
            "happy",
            8,
            feelings=("happy", "proud", "glad", "joyful"),
            lessons=lines("""
                a gift you make yourself is the best gift
                giving can feel even better than getting
                good things are worth some work
                it pays to help others
                a little work can make a big smile
                a present shows that you care
            """),
        ),
        End(
            "neutral",
            1,
            feelings=("calm", "a little let down", "patient"),
            lessons=lines("""
                a good gift can wait
                not everything happens when we want it
                giving needs patience too
            """),
        ),
    )
    cases = (
        Gift(
            scenery.KITCHEN,
            scenery.ANY,
            thing="cake",
            look=("round", "big", "yellow", "tall"),
            make="bake",
            need="butter",
            without="the cake was as hard as a stone",
            keeper="farmer",
            lives="had five fat cows",
            chore="feed my cows",
            did="carried hay to all the cows",
            finish="{he} baked a new cake, and it smelled wonderful",
            use="ate two slices at once",
        ),
        Gift(
            scenery.KITCHEN,
            scenery.ANY,
            thing="bun",
            look=("sweet", "sticky", "big"),
            make="bake",
            need="honey",
            without="the bun was not sweet at all",
            keeper="beekeeper",
            lives="lived behind the church",
            chore="carry my jars inside",
            did="carried the jars inside one by one",
            finish="{he} stirred the honey in and baked a golden bun",
            use="licked the honey from {friend.his} fingers",
        ),
        Gift(
            scenery.HOME,
            scenery.ANY,
            thing="card",
            look=("big", "funny", "shiny", "colorful"),
            make="make",
            need="paint",
            without="the card was only white and gray",
            keeper="painter",
            lives="had a room full of pictures",
            chore="wash my brushes",
            did="washed every brush until it was clean",
            finish="{he} painted a card with a yellow sun on it",
            use="hung it over {friend.his} bed",
        ),
        Gift(
            scenery.BEACH,
            scenery.SUMMER,
            thing="necklace",
            look=("long", "pretty", "white"),
            make="make",
            need="string",
            without="the shells kept falling into the sand",
            keeper="sailor",
            lives="was mending nets",
            chore="clean my boat",
            did="cleaned the boat with a big sponge",
            finish="{he} put the shells on the string, one after the other",
            use="put it on right away",
        ),
        Gift(
            scenery.KITCHEN,
            scenery.ANY,
            thing="soup",
            look=("hot", "thick", "tasty"),
            make="cook",
            need="onions",
            without="the soup tasted like warm water",
            keeper="gardener",
            lives="grew all kinds of things to eat",
            chore="pull the weeds",
            did="pulled the weeds out of three long rows",
            finish="{he} cut the onions with {elder}, and the soup smelled good",
            use="ate it to the last drop",
        ),
        Gift(
            scenery.HOME,
            scenery.WINTER,
            thing="scarf",
            look=("warm", "long", "red", "soft"),
            make="knit",
            need="wool",
            without="a scarf of string was thin and cold",
            keeper="shepherd",
            lives="had a hundred sheep",
            chore="help me bring the sheep in",
            did="ran up the hill and brought the sheep in",
            finish="{he} and {elder} knitted until the scarf was done",
            use="wrapped it around {friend.his} neck",
        ),
        Gift(
            scenery.GARDEN,
            scenery.WARM,
            thing="crown",
            look=("bright", "pretty", "round"),
            make="make",
            need="roses",
            without="a crown of grass fell apart",
            keeper="florist",
            lives="sold flowers on the corner",
            chore="water my pots",
            did="watered a long row of pots",
            finish="{he} wove the roses into a crown",
            use="wore it like a king",
        ),
        Gift(
            scenery.WORKSHOP,
            scenery.ANY,
            thing="birdhouse",
            look=("small", "wooden", "blue"),
            make="build",
            need="nails",
            without="the walls fell down again and again",
            keeper="carpenter",
            lives="was building a barn",
            chore="sweep up the sawdust",
            did="swept the whole floor",
            finish="{he} and {elder} built a birdhouse with a little door",
            use="hung it in {friend.his} apple tree",
        ),
        Gift(
            scenery.HOME,
            scenery.ANY,
            thing="puppet",
            look=("funny", "tiny", "green"),
            make="make",
            need="buttons",
            without="a puppet with no eyes could not see",
            keeper="tailor",
            lives="worked in a shop full of cloth",
            chore="find the pins I dropped",
            did="looked under every table and picked up the pins",
            finish="{he} gave the puppet two big button eyes",
            use="made the puppet dance",
        ),
        Gift(
            scenery.YARD,
            scenery.AUTUMN,
            thing="lantern",
            look=("orange", "round", "bright"),
            make="make",
            need="wax",
            without="the lantern stayed dark",
            keeper="candle maker",
            lives="lived at the end of the road",
            chore="stack my wood",
            did="stacked the wood into a neat pile",
            finish="{he} put a fat candle into the lantern",
            use="put it in the window, where it glowed",
        ),
        Gift(
            scenery.KITCHEN,
            scenery.ANY,
            thing="pie",
            look=("warm", "sweet", "big"),
            make="bake",
            need="cherries",
            without="an empty pie was no good",
            keeper="fruit seller",
            lives="had three cherry trees",
            chore="hold my ladder",
            did="held the ladder tight while the basket was filled",
            finish="{he} filled the pie and baked it until it was brown",
            use="asked for a second piece",
        ),
        Gift(
            scenery.HOME,
            scenery.ANY,
            thing="drum",
            look=("loud", "round", "red"),
            make="build",
            need="leather",
            without="the paper tore at the first beat",
            keeper="shoemaker",
            lives="mended boots by the window",
            chore="sort my laces",
            did="sorted the laces by color",
            finish="{he} pulled the leather over a pot and tied it down",
            use="played a merry beat",
        ),
    )

    def plan(self, sketch: Sketch) -> Outline:
        case: Gift = sketch.case
        slots = sketch.slots
        thing = slots["thing"] = noun(case.thing, sketch.pick(case.look))
        keeper = sketch.meet("keeper", case.keeper)
        slots["greeting"] = slots["time"]
        happy = sketch.ending == "happy"
        reason = sketch.pick(REASONS if happy else REASONS[1:])  # a sick friend is not out of the house
        sketch.let(reason=reason, make=case.make, need=case.need, without=case.without)
        sketch.let(lives=case.lives, chore=case.chore, did=case.did, finish=case.finish, use=case.use)
        return Outline(
            thing=thing,
            want=f"to {case.make} {thing.a} for {slots['friend']}",
            obstacle=f"there was no {case.need}",
            attempts=(slots["did"], f"tried it without {case.need}")[: 1 + (sketch.length is Length.LONG)],
            resolution=slots["finish"] if happy else f"{slots['friend']} was not at home",
            objects=(case.need,),
            helper=str(keeper),
            words=(thing.adj, case.need, case.make),
        )

    def tell(self, tale: Tale) -> None:
        tale.open()
        tale.scene()
        tale.say(START, WANT)
        tale.paragraph()
        tale.say(LACK)
        tale.more(TRY)
        tale.say(GO)
        tale.paragraph()
        tale.say(ASK, DEAL, WORK)
        tale.paragraph()
        tale.say(FINISH)
        if tale.ending == "happy":
            tale.say(GIVE, THANKS)
            tale.close(AFTER)
        else:
            tale.say(AWAY, NOTE)
            tale.close(AFTER_NEUTRAL)
