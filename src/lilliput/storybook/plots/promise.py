"""The hero has promised something, a friend calls to play, and the promise is kept, or broken and made good."""

from __future__ import annotations

from dataclasses import dataclass

from lilliput.storybook import scenery
from lilliput.storybook.grammar import lines, ways
from lilliput.storybook.plot import PLOTS, Case, End, Outline, Plot, Sketch
from lilliput.storybook.tale import Tale


@dataclass(frozen=True)
class Promise(Case):
    """`task` is the promise, `duty` its short form, and `need` the reason for it. `call` is the friend's attraction.
    `kept` is the hero's deed and `reward` its result; or `broken` is the accident and `amends` the hero's remedy."""

    thing: str
    task: str
    duty: str
    need: str
    call: str
    kept: str
    reward: str
    broken: str
    amends: str


ASKED = ways("""
    {when}, {elder} had to [go away|leave for an hour|go to town]. "Please {task}," {elder.he} [said|told
        {hero}]. "{need}."
    {when}, {elder} [called|came to] {hero}. "Will you {task} while I am away?" {elder.he} asked. "{need}."
    {when}, {elder} [put on {elder.his} coat|took {elder.his} bag]. "[I need your help|Help me]," {elder.he}
        said.
        "Please {task}. {need}."
""")
PROMISE = ways("""
    {hero} wanted to [be a good helper|help]. "[I promise|Yes, I promise|I will]," {he} said.
    "I promise!" said {hero}. {He} wanted {elder} to be [proud of|pleased with] {him}.
    "You have my word," {hero} [said|told {elder.him}]. {He} wanted to do it [well|all alone].
    "I promise, I promise!" said {hero}, for {he} wanted to show how big {he} was.
""")
CALL = ways("""
    [Soon|A little later], {his} friend {friend.full} [came running|ran up]. "Come quickly!" {friend.he}
        said. "{call}!"
    Then [there was a knock|somebody knocked]. It was {his} friend {friend.full}. "{call}!" said {friend}.
        "Come and [look|see]!"
    Just then, {his} friend {friend.full} [looked over the fence|called from outside]. "{call}! Are you
        coming?"
""")
TORN = ways("""
    {hero} wanted to go [so much|very much]. But then {he} [remembered|thought of] {his} promise.
    {hero} took [one step|a step], and then another. [What about {his} promise?|But then {he} thought of
        {his} promise.]
    {hero} looked at {friend} and back at the {thing}. It was hard to choose.
    "[Oh, I want to see that|How I would like that|I wish I could go]!" {hero} thought. But {he} had
        [promised|given {his} word].
""")
STAYED = ways("""
    "I have to {duty} first," {he} said. "[Wait for me|You can help me]!"
    "Not yet," {he} [said|told {friend}]. "I promised to {duty}."
    "I will come [later|after that]," {hero} said. "First I must {duty}."
    {hero} shook {his} head. "A promise is a promise," {he} told {friend}.
""")
KEPT = ways("""
    So {he} {kept}, and {friend} [helped|waited].
    {He} {kept}. {friend} [sat down and watched|helped a little].
    {hero} {kept}, and {he} did not run off.
    {friend} [made a face|sighed], but {hero} {kept}.
""")
REWARD = ways("""
    When {elder} came back, {reward}. "[Thank you|You kept your word]," {elder.he} said.
    In the end, {reward}. "[I knew I could trust you|I can count on you]," said {elder}.
    And see, {reward}! {elder} [came home|came back] and [gave {him} a kiss|patted {his} head].
    Soon {elder} was back, and {reward}. "Well done, {hero}!" {elder.he} said.
""")
THEN_PLAY = ways("""
    Then {hero} and {friend} ran off [to look|to play|hand in hand]. It was not too late [at all|yet].
    After that, {hero} went with {friend}, and they had [lots of fun|a wonderful time].
    And there was still [time|plenty of time] to go with {friend}.
    "Now we can go!" {hero} [called|said], and {he} and {friend} ran off.
""")
FORGOT = ways("""
    "I will do it later," {he} [said|thought], and {he} ran off with {friend}. They played for a long, long
        time.
    "It will not take long," {he} told {himself} and went with {friend}. But {he} forgot the time.
    {He} ran off with {friend}, and soon {he} had forgotten {his} promise.
""")
BROKEN = ways("""
    When {hero} came back, {broken}.
    [Late in the day|At last], {he} remembered and ran back. But {broken}.
    Then {he} remembered the {thing} and ran as fast as {he} could. It was too late, for {broken}.
""")
CONFESS = ways("""
    "I broke my promise," {hero} told {elder}. "I am so sorry."
    {elder} came home and saw it. {hero} looked at the floor. "It was my fault," {he} said.
    {hero} [wanted to hide|felt hot all over], but {he} told {elder} everything.
""")
AMENDS = ways("""
    "I am [sad|not happy] about it," said {elder}, "but I am glad that you told me." Then {hero} {amends}.
    {elder} was quiet for a moment. "How can you make it better?" {elder.he} asked. So {hero} {amends}.
    To make it good again, {hero} {amends}. It [took a long time|was hard work].
""")
AFTER = ways("""
    After that, {elder} often asked {hero} to help.
    {elder} told everybody how well {he} had done.
    That night, there was {hero}'s favorite [soup|pudding|cake] for supper.
    "[Next time|When I make a promise], I will do it like you," said {friend}.
    {elder} never had to ask twice.
""")
AFTER_SAD = ways("""
    The next time {hero} gave {his} word, {he} kept it.
    It took a while before {elder} asked {him} again.
    {He} tied a string around one finger, so that {he} would not forget again.
""")


@PLOTS.add("promise")
class KeepPromise(Plot):
    """Keep a promise."""

    friend = True
    ends = (
        End(
            "happy",
            5,
            feelings=("proud", "glad", "happy", "pleased"),
            lessons=lines("""
                a promise is a promise
                work first makes play sweeter
                people trust those who keep their word
                a true friend will wait
                doing what you said feels good
                small jobs can be important
            """),
        ),
        End(
            "sad",
            1,
            feelings=("sorry", "sad", "ashamed"),
            lessons=lines("""
                a broken promise can hurt somebody
                later can be too late
                trust is easy to lose
                telling the truth is the first step to make things right
            """),
        ),
    )
    cases = (
        Promise(
            scenery.GARDEN,
            scenery.SUMMER,
            thing="tomatoes",
            task="water the tomatoes in the garden",
            duty="water the tomatoes",
            need="It is so dry that they will die without water",
            call="There are baby ducks on the pond",
            kept="carried can after can to the tomatoes",
            reward="the tomatoes stood up straight and green",
            broken="the tomatoes hung their heads, brown and dry",
            amends="watered them every morning for a month",
        ),
        Promise(
            scenery.YARD,
            scenery.MILD,
            thing="rabbit",
            task="feed the rabbit in the yard",
            duty="feed the rabbit",
            need="She has eaten nothing since last night",
            call="A man with a monkey is in the street",
            kept="cut carrots and put hay into the hutch",
            reward="the rabbit was full and asleep",
            broken="the rabbit had chewed a hole in the door and was gone",
            amends="looked for the rabbit until dark and found her under the shed",
        ),
        Promise(
            scenery.FARM,
            scenery.MILD,
            thing="gate",
            task="watch the gate on the farm",
            duty="watch the gate",
            need="If it swings open, the hens will run away",
            call="The big red tractor is stuck in the mud",
            kept="stood by the gate and held it shut when the wind blew",
            reward="every hen was safe inside",
            broken="the gate stood open, and there were hens all over the road",
            amends="ran after the hens and carried them back one by one",
        ),
        Promise(
            scenery.KITCHEN,
            scenery.ANY,
            thing="soup",
            task="stay in the kitchen and stir the soup",
            duty="stir the soup",
            need="It will burn if nobody stirs it",
            call="A fire truck has stopped in front of our house",
            kept="stirred the soup round and round",
            reward="the soup was smooth and smelled of herbs",
            broken="the soup was black, and the kitchen was full of smoke",
            amends="scrubbed the pot until it shone",
        ),
        Promise(
            scenery.YARD,
            (scenery.CLOUDY_SPRING, scenery.WINDY_SPRING, scenery.COOL_AUTUMN, scenery.WINDY_AUTUMN),
            thing="laundry",
            task="bring in the laundry from the yard",
            duty="bring in the laundry",
            need="It looks like rain",
            call="We are making a slide on the hill",
            kept="took down every shirt and sock",
            reward="the rain came, but the laundry was dry and folded",
            broken="it had rained, and the laundry was dripping wet",
            amends="hung everything up again by the stove",
        ),
        Promise(
            scenery.LIBRARY,
            scenery.ANY,
            thing="book",
            task="take this book back to the library before it closes",
            duty="take the book back",
            need="Another child is waiting for it",
            call="There is a puppet show at the corner",
            kept="took the book straight to the library",
            reward="there was a note from a happy child who had got the book",
            broken="the library was closed, and a girl was crying on the steps",
            amends="took the book to the girl's house with a flower in it",
        ),
        Promise(
            scenery.RIVER,
            scenery.WARM,
            thing="boat",
            task="hold the rope of the boat by the river",
            duty="hold the boat",
            need="The river is strong today",
            call="I found a tree full of plums",
            kept="held the rope with both {hands}",
            reward="the boat was still there, rocking softly",
            broken="the boat had floated away down the river",
            amends="walked along the river for miles and found the boat in the reeds",
        ),
        Promise(
            scenery.HOME,
            scenery.ANY,
            thing="baby",
            task="stay at home with the baby and sing if she cries",
            duty="look after the baby",
            need="She does not like to be alone",
            call="The boys have built a rocket",
            kept="sat by the cradle and sang all the songs {he} knew",
            reward="the baby was asleep with a smile",
            broken="the baby was red in the face from crying",
            amends="carried the baby around until she laughed",
        ),
        Promise(
            scenery.STREET,
            scenery.WINTER,
            thing="path",
            task="clear the path to the street",
            duty="clear the path",
            need="Somebody could slip on the snow",
            call="They are making a giant snowman",
            kept="pushed the snow aside from the door to the street",
            reward="the path was clean, and nobody slipped",
            broken="the mailman had slipped on the path and hurt his knee",
            amends="carried the mail to every house for the mailman",
        ),
        Promise(
            scenery.PARK,
            scenery.MILD,
            thing="dog",
            task="walk the dog in the park",
            duty="walk the dog",
            need="He has been inside all day",
            call="I have a new train with real smoke",
            kept="walked the dog three times around the park",
            reward="the dog lay by the stove, tired and happy",
            broken="the dog had torn every pillow to bits",
            amends="picked up all the feathers and walked the dog twice a day",
        ),
        Promise(
            scenery.HOME,
            scenery.ANY,
            thing="parcel",
            task="stay at home and wait for the parcel",
            duty="wait for the parcel",
            need="The mailman will knock only once",
            call="They are blowing giant bubbles in the park",
            kept="sat on the step and watched the road",
            reward="the parcel stood safely on the table",
            broken="there was a note on the door, and no parcel",
            amends="walked all the way to the post office and carried the heavy parcel home",
        ),
        Promise(
            scenery.BARN,
            scenery.SPRING,
            thing="eggs",
            task="stay in the barn and keep the eggs warm",
            duty="keep the eggs warm",
            need="The hen is sick, and the chicks will come today",
            call="The circus is coming down the road",
            kept="kept the lamp over the eggs and did not look away",
            reward="six wet chicks were peeping in the straw",
            broken="the lamp had gone out, and the eggs were cold",
            amends="lit the lamp and sat with the eggs all night, until one chick came out",
        ),
    )

    def plan(self, sketch: Sketch) -> Outline:
        case: Promise = sketch.case
        sketch.let(thing=case.thing, task=case.task, duty=case.duty, need=case.need, call=case.call, kept=case.kept)
        sketch.let(reward=case.reward, broken=case.broken, amends=case.amends)
        happy = sketch.ending == "happy"
        return Outline(
            thing=case.thing,
            want=f"to {case.duty}",
            obstacle=f"{sketch.slots['friend']} called: {case.call}",
            attempts=(sketch.slots["kept"] if happy else "went to play first",),
            resolution=case.reward if happy else sketch.slots["amends"],
        )

    def tell(self, tale: Tale) -> None:
        tale.open()
        tale.scene()
        tale.say(ASKED, PROMISE)
        tale.paragraph()
        tale.say(CALL)
        tale.more(TORN)
        if tale.ending == "happy":
            tale.say(STAYED)
            tale.paragraph()
            tale.say(KEPT, REWARD)
            tale.more(THEN_PLAY)
            tale.close(AFTER, elder_knows=True)
        else:
            tale.say(FORGOT)
            tale.paragraph()
            tale.say(BROKEN, CONFESS, AMENDS)
            tale.close(AFTER_SAD, elder_knows=True)
