"""The hero wants something from a shop, has no money, and earns it coin by coin."""

from __future__ import annotations

from dataclasses import dataclass

from lilliput.storybook import scenery
from lilliput.storybook.grammar import capital, lines, noun, ways, words
from lilliput.storybook.plot import PLOTS, Case, End, Length, Outline, Plot, Sketch
from lilliput.storybook.tale import Tale

NUMBERS = words("zero one two three four five six seven eight nine ten eleven twelve")
PAY = (2, 3, 4, 5, 6)
JOBS = (
    ("baker", "swept the steps"),
    ("neighbor", "walked the dog"),
    ("hat maker", "washed the windows"),
    ("teacher", "raked the leaves"),
    ("old man", "carried two heavy bags"),
    ("florist", "watered the flowers"),
    ("farmer", "fed the hens"),
    ("shoemaker", "polished a row of boots"),
    ("mailman", "sorted the letters"),
    ("woodcutter", "stacked the wood"),
    ("cook", "peeled the potatoes"),
    ("painter", "washed the brushes"),
    ("tailor", "picked up the pins"),
    ("shepherd", "counted the sheep"),
)
TREATS = ("an ice cream", "a bag of candy", "a balloon", "a lollipop", "a paper hat", "a whistle", "a sticker")


@dataclass(frozen=True)
class Dream(Case):
    """`shop` has the thing. `why` is the hero's plan for it, and `does` the plan carried out at the end."""

    thing: str
    look: str
    shop: str
    why: str
    does: str


SEE = ways("""
    {when}, {hero} stopped at the {shop} {place.at}. There was {thing.a} in the window. {He} wanted
        {thing.the} {why}.
    {when}, {hero} and {elder} were {place.at}. In the {shop}, there was {thing.a}. {hero} wanted {thing.the}
        {why}.
    {when}, {he} walked by the {shop} {place.at} and saw {thing.a}. {hero} wanted {thing.the} {why}.
    {when}, {hero} saw {thing.a} in the window of the {shop} {place.at}. "I want that {thing} {why}," {he}
        said.
""")
PRICE = ways("""
    But it cost {price} coins, and {he} had none.
    But {thing.the} cost {price} coins, and {his} pockets were empty.
    "It costs {price} coins," said {elder}. {hero} had not a single coin.
    The sign said: "{Price} coins." {hero} had no coins at all.
""")
PLAN = ways("""
    "[Then I will earn|I can earn] the money," {he} [said|thought].
    "You can [work for it|earn it]," said {elder}, "if you really want {thing.a}."
    {hero} did not [beg|cry]. {He} [went to look for work|wanted to earn the money].
    "[How can I get|Where can I find] {price} coins?" {hero} asked. "You could work," said {elder}.
""")
FIRST = ways("""
    First, {he} {job1} for {boss1.a} and got {pay1} coins.
    {He} {job1} for {boss1.a}. "Here are {pay1} coins for you," said {boss1}.
    {He} went to {boss1.a} and {job1}. For that, {he} got {pay1} coins.
    {hero} {job1} for {boss1.a}, who gave {him} {pay1} coins.
""")
TEMPT = ways("""
    On the way, {he} saw {treat}. It cost two coins. {hero} [looked at it|put a {hand} in {his} pocket], but
        {he} walked on.
    Then {hero} saw {treat} that cost two coins. "[No|Not today]," {he} said to {himself}, and {he} walked on.
    {A_treat} for two coins! It was hard, but {hero} [kept|saved] {his} coins.
    Somebody was selling {treat} for two coins. {hero} [shut {his} eyes and walked by|looked, but {he} did
        not stop].
""")
SECOND = ways("""
    Then {he} {job2} for {boss2.a} and got {pay2} more.
    The next day, {he} {job2} for {boss2.a}. That made {pay2} more coins.
    After that, {hero} {job2} for {boss2.a}. "[Good work|Well done]," said {boss2} and gave {him} {pay2}
        coins.
    Next, {he} went to {boss2.a} and {job2}. {boss2.He} paid {him} {pay2} coins.
""")
SUM = ways("""
    {hero} counted. {Pay1} and {pay2} make {price}!
    {Pay1} and {pay2} are {price}. It was enough!
    "{Pay1} and {pay2} make {price}!" {he} [cried|called|shouted].
    {He} [laid the coins in a row|counted the coins]. There were {price}!
""")
BUY = ways("""
    {hero} ran to the {shop} and put [down all {his} coins|the coins on the table]. [Now {thing.the} belonged
        to {him}|{thing.The} was in {his} {hands} at last]!
    {He} carried the coins to the {shop} and came out with {thing.the}.
    At the {shop}, {hero} gave away {price} coins and got {thing.the}.
    "One {thing}, please!" {he} said at the {shop}, and {he} put down {price} coins.
""")
USE = ways("""
    At home, {he} {does}.
    That same [day|evening], {he} {does}.
    {He} {does}, and {elder} [clapped|watched with a smile].
    "You [earned|worked for] it yourself," said {elder}, and {hero} {does}.
""")
SOLD = ways("""
    {hero} ran to the {shop}. But the window was empty. Somebody had bought {thing.the}.
    But when {he} came to the {shop}, {thing.the} was gone. It had been sold [that morning|an hour before].
""")
KEEP = ways("""
    {He} [looked at|held] the {price} coins in {his} {hand}. They were still there, at least.
    "There will be another {thing}," said {elder}. "And you have {price} coins now."
    "I will keep my {price} coins," said {hero}, "and I will find something [else|even better]."
""")
AFTER = ways("""
    {thing.The} always had the best place in {his} room.
    {He} took better care of {thing.the} than of anything else.
    {boss1.Name} and {boss2} both came to see {thing.the}.
    Sometimes {he} still worked for {boss1}, just for fun.
    And whenever {he} looked at {thing.the}, {he} remembered how {he} had earned it.
""")
AFTER_NEUTRAL = ways("""
    At home, {he} put the coins into a jar and liked the sound.
    On the way home, {he} looked into every window.
    The next week, {he} began to save again.
""")


@PLOTS.add("save")
class Save(Plot):
    """Earn the money for something."""

    ends = (
        End(
            "happy",
            8,
            feelings=("proud", "happy", "glad", "pleased"),
            lessons=lines("""
                what you earn is worth more
                saving is hard, but it is worth it
                small coins make big dreams come true
                work can be fun
                it is good to wait for what you really want
                many small steps lead to a big goal
            """),
        ),
        End(
            "neutral",
            1,
            feelings=("a little sad", "let down", "calm"),
            lessons=lines("""
                money that is saved is not lost
                we cannot have everything we want
                there will be other chances
            """),
        ),
    )
    cases = tuple(
        Dream(scenery.STREET, scenery.MILD, thing, look, shop, why, does)
        for thing, look, shop, why, does in (
            ("kite", "yellow", "toy shop", "to fly it on the hill", "let the kite rise up into the clouds"),
            ("music box", "tiny", "old shop", "to hear its song at night", "opened the music box and listened"),
            ("train", "green", "toy shop", "to drive it around the bed", "drove the train around the bed"),
            ("telescope", "long", "book shop", "to look at the moon", "counted the spots on the moon"),
            ("paint box", "big", "paper shop", "to paint a rainbow", "painted a rainbow on a sheet of paper"),
            ("scooter", "silver", "bike shop", "to ride to school", "rode the scooter up and down the lane"),
            ("puppet", "wooden", "toy shop", "to put on a show", "put on a show with a roaring lion"),
            ("globe", "round", "book shop", "to see where the whales live", "turned the globe and found the sea"),
            ("drum", "loud", "music shop", "to play in a band", "played the drum with two spoons"),
            ("fish", "golden", "pet shop", "to have somebody to care for", "gave the fish a name and some food"),
            ("puzzle", "hard", "toy shop", "to put it together", "put the puzzle together, piece by piece"),
            ("cap", "blue", "hat shop", "to look like a captain", "put on the cap and was a captain"),
            (
                "plant",
                "small",
                "flower shop",
                "to have something green in {his} room",
                "put the plant on the window sill",
            ),
            ("lamp", "warm", "old shop", "to read under the blanket", "read a whole book by the light of the lamp"),
        )
    )

    def plan(self, sketch: Sketch) -> Outline:
        case: Dream = sketch.case
        thing = sketch.slots["thing"] = noun(case.thing, case.look)
        (boss1, job1), (boss2, job2) = sketch.two(JOBS)
        first, second = sketch.pick(PAY), sketch.pick(PAY)
        price, treat = NUMBERS[first + second], sketch.pick(TREATS)
        sketch.meet("boss1", boss1)
        sketch.meet("boss2", boss2)
        sketch.let(shop=case.shop, why=case.why, does=case.does, job1=job1, job2=job2)
        sketch.let(pay1=NUMBERS[first], Pay1=capital(NUMBERS[first]), pay2=NUMBERS[second])
        sketch.let(price=price, Price=capital(price), treat=treat, A_treat=capital(treat))
        happy = sketch.ending == "happy"
        return Outline(
            thing=thing,
            want=f"to have {thing.the} {sketch.slots['why']}",
            obstacle=f"it cost {price} coins",
            attempts=(f"{job1} for {NUMBERS[first]} coins", f"{job2} for {NUMBERS[second]} coins"),
            resolution=f"bought {thing.the}" if happy else f"{thing.the} had been sold",
            objects=(treat.partition(" ")[2],) if sketch.length is Length.LONG else (),
            words=(price, case.look),
        )

    def tell(self, tale: Tale) -> None:
        tale.open()
        tale.scene()
        tale.say(SEE, PRICE)
        tale.unless_short(PLAN)
        tale.paragraph()
        tale.say(FIRST)
        tale.more(TEMPT)
        tale.say(SECOND, SUM)
        tale.paragraph()
        if tale.ending == "happy":
            tale.say(BUY, USE)
            tale.close(AFTER, elder_knows=True)
        else:
            tale.say(SOLD, KEEP)
            tale.close(AFTER_NEUTRAL, elder_knows=True)
