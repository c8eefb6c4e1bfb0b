"""A contest: the hero could win, a friend is in trouble on the way, and the hero chooses."""

from __future__ import annotations

from dataclasses import dataclass

from lilliput.storybook import scenery
from lilliput.storybook.grammar import lines, noun, ways
from lilliput.storybook.plot import PLOTS, Case, End, Outline, Plot, Sketch
from lilliput.storybook.tale import Tale

TRAINING = (
    "run around the house ten times",
    "jumped over every fence in the village",
    "eaten oats each day and gone to bed early",
    "raced against the neighbor's dog",
    "climbed every hill in sight",
    "jumped rope until dark each day",
    "slept with an open window to get strong",
    "gone up and down the stairs a hundred times",
    "carried stones up the hill to get strong",
    "practiced with {elder} and a clock",
)


@dataclass(frozen=True)
class Contest(Case):
    """`race` is the contest and `start` its beginning. `trouble` is the friend's accident, `help` the hero's help, and
    `finish` the end of the race for both."""

    race: str
    start: str
    trouble: str
    help: str
    finish: str


PRIZES = (
    ("cup", "golden"),
    ("medal", "shiny"),
    ("ribbon", "blue"),
    ("crown", "paper"),
    ("cake", "chocolate"),
    ("trophy", "silver"),
    ("flag", "red"),
    ("bell", "silver"),
)

NEWS = ways("""
    {when}, there was {race_a} {place.at}. The winner would get {thing.a}.
    {when}, {hero} and {elder} went {place.to} for {race_the}. The prize was {thing.a}.
    {when}, everybody came {place.to}, for there was {race_a}. The prize was {thing.a}.
    {when}, it was time for {race_the} {place.at}. "The winner gets {thing.a}!" [called|shouted] the judge.
""")
WANT = ways("""
    {hero} wanted to win {thing.the}. For a whole week, {he} had {trained}.
    "I want that {thing}!" said {hero}. {He} had {trained} to be ready.
    {He} wanted {thing.the} more than anything, and {he} had {trained} to win it.
    {hero} had {trained}, because {he} wanted to win {thing.the}.
""")
FRIEND = ways("""
    {His} friend {friend.full} wanted it too. "[May the best one win|Good luck|Let us see]!" [said|called]
        {friend}.
    {His} friend {friend.full} was there too. "I [will be|am] [faster|quicker] than you," {friend.he}
        [laughed|said].
    Next to {him} stood {his} friend {friend.full}. They [shook hands|nodded to each other].
""")
START = ways("""
    "Ready, steady, go!" {start}
    A whistle blew. {start}
    "Three, two, one!" {start}
    The crowd [cheered|counted to three]. {start}
""")
LEAD = ways("""
    Soon {hero} was [in front|ahead of everybody]. {thing.The} was so close!
    {hero} was fast. Only {friend} was [faster|in front of {him}].
    {hero} and {friend} were [side by side|far ahead of the others].
    {hero} could already see {thing.the} at the end.
""")
TROUBLE = ways("""
    Then {trouble}.
    But halfway there, {trouble}.
    All at once, {trouble}. "[Help|Oh no]!" {friend} [cried|called].
    Just before the end, {trouble}.
""")
TORN = ways("""
    {hero} looked at {thing.the} and looked at {friend}.
    The others [ran past|did not stop]. {hero} had to choose.
    "If I stop now, I will lose," {hero} thought.
    {thing.The} was waiting, but so was {friend}.
""")
HELP = ways("""
    {hero} stopped and {help}.
    [Without a word|At once], {hero} {help}.
    "[You are more than a prize|I am coming|Hold on]!" said {hero}, and {he} {help}.
    {hero} did not think long and {help}.
""")
WHY = ways("""
    "[Why did you stop|Why did you help me]?" asked {friend}. "You could have won!" "I did not want to win
        without you," said
        {hero}.
    "Go on without me," {friend} said. "No, we go together," said {hero}.
    "But {thing.the}!" said {friend}. "There will be other prizes," said {hero}.
    "[Thank you|You came back for me]," {friend} [whispered|said], and {friend.his} eyes were wet.
""")
FINISH = ways("""
    In the end, {finish}. There was no {thing} for them, but nobody got [louder|longer|warmer] cheers than they did.
    Then {finish}. Somebody else got {thing.the}, and they [laughed|smiled] all the same.
    At last, {finish}. {thing.The} was gone, but [the crowd called their names|people shouted their
        names|they did not mind].
""")
HONOR = ways("""
    "{thing.The} is for the fastest," said the judge, "but this is for the kindest." And {he} got a
        [flower|star].
    The winner [came over|went up to them]. "[You should have|Please take] {thing.the}," said the winner to
        {hero}.
    The judge gave {thing.the} to the winner and shook {hero}'s {hand}. "You won something too," said the
        judge.
    {friend} made a little {thing} out of [paper|leaves] for {him}. {hero} liked it better than the real one.
""")
PASSED = ways("""
    But {hero} did not stop. {He} [ran on|went on] and won {thing.the}. Nobody [clapped|cheered] very loudly.
    {hero} looked away and went on. {He} won {thing.the}, but when {he} turned around, {friend} was crying.
""")
REGRET = ways("""
    {thing.The} felt [cold|heavy] in {his} {hands}. {hero} went back to {friend} and said, "I should have
        stopped. I am sorry."
    {hero} sat down next to {friend}. "I am sorry," {he} said. "I thought only of {thing.the}."
    That evening, {hero} brought {thing.the} to {friend}. "I do not want it any more," {he} said. "I am
        sorry."
""")
AFTER = ways("""
    The next time, {hero} and {friend} trained together.
    {elder} had seen it all and [hugged|kissed] them both.
    {hero} and {friend} walked home arm in arm.
    "You are the best friend in the world," said {friend}.
    For weeks, people {place.at} talked about what {hero} had done.
""")
AFTER_SAD = ways("""
    {thing.The} lay in a drawer, and {he} never looked at it.
    It took a few days before {friend} laughed with {him} again.
    {elder} [said nothing|was quiet], but {elder.he} held {hero}'s {hand}.
""")


@PLOTS.add("race")
class Race(Plot):
    """Choose between winning and helping."""

    friend = True
    ends = (
        End(
            "happy",
            6,
            feelings=("happy", "proud", "glad", "joyful"),
            lessons=lines("""
                a friend is worth more than a prize
                winning is not everything
                it is kind to stop and help
                nobody loses by being kind
                there are many ways to win
                friends come first
            """),
        ),
        End(
            "sad",
            1,
            feelings=("sorry", "sad", "ashamed"),
            lessons=lines("""
                a prize cannot make you happy alone
                winning is not worth a friend
                it is never too late to say sorry
                we should look back at those who fall
            """),
        ),
    )
    cases = tuple(
        Contest(place, weather, *row)
        for place, weather, *row in (
            (
                scenery.FIELD,
                scenery.MILD,
                "running race",
                "They ran like the wind.",
                "{friend} stepped into a hole and fell",
                "pulled {friend} up and put one arm around {friend.him}",
                "they walked over the line together, step by step",
            ),
            (
                scenery.HILL,
                scenery.WINTER,
                "sled race",
                "The sleds shot down the slope.",
                "{friend}'s sled hit a stump and broke",
                "let {friend} climb on the back of {his} own sled",
                "the two of them slid over the line on one sled",
            ),
            (
                scenery.RIVER,
                scenery.WARM,
                "boat race",
                "The oars splashed in the water.",
                "{friend} lost both oars and began to drift",
                "threw {friend} a rope and pulled the other boat along",
                "the two boats came in one behind the other",
            ),
            (
                scenery.PARK,
                scenery.MILD,
                "bike race",
                "The wheels began to hum.",
                "the chain of {friend}'s bike jumped off",
                "got down and fixed the chain with dirty fingers",
                "they rolled over the line side by side",
            ),
            (
                scenery.FARM,
                scenery.MILD,
                "sack race",
                "All the sacks hopped over the grass.",
                "{friend}'s sack tore, and {friend.he} tripped over it",
                "gave {friend} one side of {his} own sack to hop in",
                "they hopped over the line with four legs in one sack",
            ),
            (
                scenery.LAKE,
                scenery.SUMMER,
                "swimming race",
                "Ten swimmers jumped in.",
                "{friend} got a cramp and could not go on",
                "took {friend} by the shoulder and swam slowly",
                "they reached the shore together",
            ),
            (
                scenery.POND,
                (scenery.COLD_WINTER, scenery.FROSTY_WINTER),
                "skating race",
                "The skates scratched over the ice.",
                "{friend} fell and lost one skate",
                "went back and tied the skate on for {friend}",
                "they came gliding over the line hand in hand",
            ),
            (
                scenery.PLAYGROUND,
                scenery.MILD,
                "egg race",
                "They ran with eggs on their spoons.",
                "{friend} stumbled, and {friend.his} egg broke",
                "went back and fetched {friend} a new egg",
                "they came over the line with two whole eggs",
            ),
            (
                scenery.HILL,
                scenery.WINTER,
                "ski race",
                "The skis hissed over the snow.",
                "{friend} fell and lost a ski in the deep snow",
                "climbed back up and dug for the ski with both {hands}",
                "they came down in one long line, with all four skis",
            ),
            (
                scenery.GARDEN,
                scenery.MILD,
                "wheelbarrow race",
                "The wheelbarrows rattled over the path.",
                "the wheel of {friend}'s wheelbarrow broke off",
                "told {friend} to jump into {his} own wheelbarrow",
                "they rolled over the line in one wheelbarrow",
            ),
            (
                scenery.SQUARE,
                scenery.MILD,
                "scooter race",
                "The scooters flew over the stones.",
                "{friend} rolled into a fruit stand, and plums went everywhere",
                "got down and picked up every plum with {friend}",
                "they came over the line with plums in their pockets",
            ),
            (
                scenery.STREET,
                scenery.MILD,
                "soapbox race",
                "The little cars rolled down the street.",
                "a wheel came off {friend}'s car",
                "stopped {his} own car and let {friend} in",
                "one car with two drivers rolled over the line",
            ),
        )
    )

    def things(self) -> tuple[str, ...]:
        return tuple(prize for prize, _ in PRIZES)

    def plan(self, sketch: Sketch) -> Outline:
        case: Contest = sketch.case
        thing = sketch.slots["thing"] = noun(*sketch.pick(PRIZES))
        trained = sketch.pick(TRAINING)
        sketch.let(race_a=noun(case.race).a, race_the=f"the {case.race}", start=case.start, trouble=case.trouble)
        sketch.let(help=case.help, finish=case.finish, trained=trained)
        slots, helps = sketch.slots, sketch.ending == "happy"
        return Outline(
            thing=thing,
            want=f"to win {thing.the}",
            obstacle=slots["trouble"],
            attempts=(slots["trained"],),
            resolution=slots["help"] if helps else f"went on and won {thing.the}",
            words=(thing.adj, *case.race.split()),
        )

    def tell(self, tale: Tale) -> None:
        tale.open()
        tale.scene()
        tale.say(NEWS, WANT, FRIEND)
        tale.paragraph()
        tale.say(START)
        tale.more(LEAD, chance=0.6)
        tale.say(TROUBLE)
        tale.more(TORN, chance=0.6)
        if tale.ending == "sad":
            tale.say(PASSED, REGRET)
            tale.close(AFTER_SAD, elder_knows=True)
            return
        tale.say(HELP)
        tale.more(WHY)
        tale.paragraph()
        tale.say(FINISH)
        tale.more(HONOR, chance=0.6)
        tale.close(AFTER, elder_knows=True)
