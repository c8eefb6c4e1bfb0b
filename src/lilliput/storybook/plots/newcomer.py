"""Somebody new is alone and does not talk. Words fail, but doing something together succeeds."""

from __future__ import annotations

from dataclasses import dataclass

from lilliput.storybook import scenery
from lilliput.storybook.grammar import lines, ways
from lilliput.storybook.plot import PLOTS, Case, End, Outline, Plot, Sketch
from lilliput.storybook.tale import Tale

REASONS = (
    ("{friend.he} did not speak the same language", "{friend.His} family comes from far away"),
    ("{friend.he} missed {friend.his} old home", "{friend.He} moved here only a week ago"),
    ("{friend.he} was very shy", "{friend.He} does not know anybody here yet"),
    ("{friend.he} was afraid that nobody would like {friend.him}", "{friend.He} has never had a friend here"),
)


@dataclass(frozen=True)
class Newcomer(Case):
    """`alone` is the newcomer's pastime. `offer` is the hero's act with the thing, `reply` the newcomer's answer, and
    `joy` their game together."""

    thing: str
    alone: str
    offer: str
    reply: str
    joy: str


NOTICE = ways("""
    {when}, {he} saw somebody new {place.at}. It was {friend_a} who {alone}.
    {when}, {hero} went {place.to}. There was {friend_a} {he} had never seen before, who {alone}.
    {when}, {friend_a} was {place.at} for the first time, and {friend.he} {alone}.
    {when}, there was a new face {place.at}. It was {friend_a}, who {alone}.
""")
WANT = ways("""
    Nobody talked to {friend.him}. {hero} wanted to be {friend.his} friend.
    {friend.He} looked [sad|lonely]. "I want to be {friend.his} friend," {hero} thought.
    {hero} wanted to [know|meet] {friend.him}. It is [no fun|hard] to be without a friend.
    The others [ran past|did not see {friend.him}], but {hero} wanted {friend.him} as a friend.
""")
HELLO = ways("""
    "Hello, I am {hero}. What is your name?" {he} asked. But the {friend.kind} did not answer, because
        {reason}.
    {He} went over and said hello. But the {friend.kind} only looked down, for {reason}.
    "Hi! Do you want to play?" {hero} asked. The {friend.kind} did not say a word, because {reason}.
    {hero} waved and [called|shouted] hello. But the {friend.kind} [turned away|looked at the ground], for
        {reason}.
""")
AGAIN = ways("""
    {hero} told a joke, but the {friend.kind} did not laugh.
    {hero} talked about {his} home and {his} family, but nothing came back.
    {hero} asked [three|a hundred] more questions. It [only made things worse|did not help].
    {hero} [made a funny face|stood on one leg], but the {friend.kind} did not smile.
""")
ADVICE = ways("""
    {hero} went to {elder}. "Why will the {friend.kind} not talk to me?" {he} asked. "{Since}," said {elder}.
        "Show,
        do not tell."
    "{Since}," [explained|said] {elder}. "[Maybe you do not need words|Words are not the only way|You can
        talk with your {hands}]."
    {elder} had seen it. "{Since}," {elder.he} said. "Try it without words."
""")
OFFER = ways("""
    So {hero} {offer}, and {he} said nothing at all.
    {hero} thought about it. Then {he} {offer}.
    Then {hero} had an idea. {He} {offer}.
    {hero} {offer}. Then {he} [smiled|waited] and did not say a word.
""")
REPLY = ways("""
    The {friend.kind} [looked up|came closer]. Then {friend.he} {reply}.
    For a moment nothing happened. Then the {friend.kind} {reply}.
    And see, the {friend.kind} {reply}!
    Slowly, the {friend.kind} [began to smile|moved nearer], and {friend.he} {reply}.
""")
NAME = ways("""
    "{friend}," {friend.he} said [softly|at last] and pointed to {friend.himself}.
    "My name is {friend}," {friend.he} [whispered|said].
    "I am {friend}," {friend.he} said. It was the first thing {friend.he} had said all {time}.
    "[Thank you|This is fun]," {friend.he} said [quietly|softly]. "I am {friend}."
""")
JOY = ways("""
    Then {hero} and {his} new friend {joy}.
    Soon {hero} and {his} new friend {joy}, and both of them were happy.
    {hero} and {his} new friend {joy}. They did not stop until [it was time to go|{elder} called].
    So {hero} had a new friend. They {joy}, and {friend} talked and talked.
""")
SHY = ways("""
    The {friend.kind} looked up for a moment. Then {friend.he} ran away.
    The {friend.kind} shook {friend.his} head and went home with quick steps.
""")
WAVE = ways("""
    But at the corner, {friend.he} turned around and waved [a little|softly], as a friend does.
    But the next day, {friend.he} was there again, and {friend.he} nodded to {hero} like a friend.
""")
AFTER = ways("""
    The next day, {friend} was waiting for {hero} {place.at}.
    From then on, {hero} and {friend} met every [day|week].
    {hero} [showed|told] the others how nice {friend} was, and soon {friend} had many friends.
    "See you tomorrow!" {friend} called. {friend.He} had learned those words from {hero}.
    And it had all begun with the {thing}.
""")
AFTER_NEUTRAL = ways("""
    {hero} thought of it all the way home.
    {He} waved back with both {hands}.
    "I can wait," {hero} said.
""")


@PLOTS.add("newcomer")
class Newcome(Plot):
    """Make a new friend."""

    friend = True
    unfit = frozenset({"quiet"})
    ends = (
        End(
            "happy",
            6,
            feelings=("happy", "glad", "joyful", "cheerful"),
            lessons=lines("""
                a smile needs no words
                shy people make good friends
                it only takes one to begin
                it is good to be kind to somebody new
                playing together is a kind of talking
                nobody should be left alone
            """),
        ),
        End(
            "neutral",
            1,
            feelings=("hopeful", "patient", "calm"),
            lessons=lines("""
                friendship needs time
                a small wave is a good start
                you cannot hurry a friend
            """),
        ),
    )
    cases = (
        Newcomer(
            scenery.PLAYGROUND,
            scenery.MILD,
            thing="chalk",
            alone="stood by the fence",
            offer="drew one half of a big sun on the ground with chalk and held out the chalk",
            reply="took the chalk and drew the other half",
            joy="drew a whole town with chalk",
        ),
        Newcomer(
            scenery.SCHOOL,
            scenery.ANY,
            thing="blocks",
            alone="sat in a corner with {friend.his} back to the wall",
            offer="put three blocks on top of each other and pushed the box of blocks closer",
            reply="put a fourth one on top",
            joy="built a tower of blocks as tall as a door",
        ),
        Newcomer(
            scenery.BEACH,
            scenery.SUMMER,
            thing="shells",
            alone="sat far away from the water",
            offer="laid a row of shells in the sand",
            reply="put one more at the end of the row",
            joy="made a dragon of shells with a long tail",
        ),
        Newcomer(
            scenery.PARK,
            scenery.MILD,
            thing="ball",
            alone="watched the others from behind a tree",
            offer="rolled a ball up to the tree, very slowly",
            reply="rolled the ball back",
            joy="kicked the ball to each other across the grass",
        ),
        Newcomer(
            scenery.LIBRARY,
            scenery.ANY,
            thing="book",
            alone="turned the pages of a book without reading",
            offer="opened a picture book and put it down between them",
            reply="pointed to a picture of a whale and spread {friend.his} arms to show how big it was",
            joy="looked at every whale in the book",
        ),
        Newcomer(
            scenery.YARD,
            (scenery.SNOWY_WINTER,),
            thing="snowman",
            alone="stood in the snow and did not play",
            offer="rolled a big ball for the belly of a snowman",
            reply="began to roll a second ball",
            joy="finished the snowman and gave him a hat",
        ),
        Newcomer(
            scenery.HALL,
            scenery.ANY,
            thing="drum",
            alone="sat on a bench by the door",
            offer="tapped a short beat on a drum",
            reply="tapped the same beat on the bench",
            joy="played the drum together, faster and faster",
        ),
        Newcomer(
            scenery.GARDEN,
            scenery.SUMMER,
            thing="berries",
            alone="looked through the hedge",
            offer="picked a handful of berries and held them out through the hedge",
            reply="ate one and made a face, because it was so sour",
            joy="ate berries and laughed at each other's blue lips",
        ),
        Newcomer(
            scenery.STREET,
            scenery.MILD,
            thing="boat",
            alone="sat on the steps of the empty house",
            offer="folded a boat out of paper and put it on the step",
            reply="folded a bird out of another sheet",
            joy="let the boat and the bird race in the gutter",
        ),
        Newcomer(
            scenery.POND,
            scenery.WARM,
            thing="stones",
            alone="stared at the water",
            offer="threw flat stones, so that they jumped over the water",
            reply="threw one that jumped five times",
            joy="counted the jumps of the stones",
        ),
        Newcomer(
            scenery.FARM,
            scenery.SPRING,
            thing="lamb",
            alone="leaned on the gate",
            offer="brought a bottle of milk and let the smallest lamb drink",
            reply="climbed over the gate and held the bottle",
            joy="fed the lamb and gave it a name",
        ),
        Newcomer(
            scenery.KITCHEN,
            scenery.ANY,
            thing="dough",
            alone="waited while the grown-ups drank tea",
            offer="rolled a snake out of dough and put some dough in front of {friend.him}",
            reply="made a tiny mouse for the snake",
            joy="made a zoo out of dough and baked it",
        ),
    )

    def things(self) -> tuple[str, ...]:
        return ("friend",)

    def plan(self, sketch: Sketch) -> Outline:
        case: Newcomer = sketch.case
        friend = sketch.slots["friend"]
        reason, since = sketch.pick(REASONS)
        sketch.let(thing=case.thing, alone=case.alone, offer=case.offer, reply=case.reply, joy=case.joy)
        sketch.let(reason=reason, Since=since, friend_a=f"a {friend.kind}")
        slots, happy = sketch.slots, sketch.ending == "happy"
        return Outline(
            thing="friend",
            want=f"to be a friend of {friend}" if happy else f"to be a friend of a new {friend.kind}",
            objects=(case.thing,),
            obstacle=slots["reason"],
            attempts=("said hello", slots["offer"]),
            resolution=slots["reply"] if happy else f"the {friend.kind} ran away but waved",
        )

    def tell(self, tale: Tale) -> None:
        tale.open()
        tale.scene()
        tale.say(NOTICE, WANT)
        tale.paragraph()
        tale.say(HELLO)
        tale.more(AGAIN, chance=0.5)
        tale.more(ADVICE)
        tale.paragraph()
        tale.say(OFFER)
        if tale.ending == "happy":
            tale.say(REPLY, NAME, JOY)
            tale.close(AFTER, elder_knows=True)
        else:
            tale.say(SHY, WAVE)
            tale.close(AFTER_NEUTRAL, elder_knows=True)
