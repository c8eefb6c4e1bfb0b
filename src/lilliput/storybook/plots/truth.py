"""The hero breaks something, hides it, somebody else is blamed, and the hero tells the truth."""

from __future__ import annotations

from dataclasses import dataclass

from lilliput.storybook import scenery
from lilliput.storybook.grammar import capital, lines, noun, ways, words
from lilliput.storybook.plot import PLOTS, Case, End, Outline, Plot, Sketch
from lilliput.storybook.tale import Tale

BLAMED = words("cat dog parrot mouse kitten")


@dataclass(frozen=True)
class Accident(Case):
    """`rule` is the elder's rule, `did` the hero's act against it, and `broke` the result. `hide` is the hiding place
    and `mend` the repair."""

    thing: str
    looks: tuple[str, ...]
    worth: str
    want: str
    rule: str
    did: str
    broke: str
    hide: str
    mend: str


THING = ways("""
    {elder} had {thing.a} {worth}. "{rule}," {elder.he} always said.
    {elder} loved {thing.a} {worth}. "{rule}," {elder.he} [had told {him}|said again and again].
    {At_place}, there was {thing.a} {worth}. It was {elder}'s. "{rule}," {elder} [had told {him} many
        times|always said].
""")
DID = ways("""
    {when}, {hero} was [alone|all alone] {place.at}. {He} wanted to {want}, so {he} {did}.
    {when}, {he} was bored {place.at}. {He} wanted to {want}, and {he} {did}.
    {when}, {hero} was {place.at}. Nobody was looking, and {he} {did}, for {he} wanted to {want}.
    {when}, nobody was {place.at} but {hero}. {He} wanted to {want}, so {he} {did}.
""")
BROKE = ways("""
    Then it happened. {broke}.
    [All at once|Before {he} knew it], it was too late. {broke}.
    {broke}. {hero} [stood as still as a stone|could not breathe].
    {broke}. "Oh no!" {hero} [cried|whispered].
""")
HIDE = ways("""
    [Quickly|With shaking {hands}], {he} hid {thing.the} {hide}.
    {He} was afraid that {elder} would be [angry|cross], so {he} hid {thing.the} {hide}.
    "Nobody must know," {he} [thought|said], and {he} put {thing.the} {hide}.
""")
ASKED = ways("""
    Soon {elder} came. "Where is my {thing}?" {elder.he} asked. {hero} [said nothing|looked at the floor].
    When {elder} came home, {elder.he} found {thing.the}. "Who did this?" {elder.he} asked. {hero} [was
        silent|said nothing].
    "What has happened to my {thing}?" {elder} asked [that evening|later]. {hero} [turned red|shrugged].
""")
BLAME = ways("""
    "The {blamed} must have done [it|this]," [said|sighed] {elder}. "Bad {blamed}!"
    "It must have been the {blamed}," {elder} [said|sighed].
    {elder} [saw|thought of] the {blamed}. "It must have been the {blamed} again," {elder.he} said.
    "Has the {blamed} been in here [again|today]?" {elder} asked. "It must have been the {blamed}."
""")
GUILT = ways("""
    {hero} could not [eat|play]. It felt as if {he} had swallowed a stone.
    It was not the {blamed}'s fault! {hero} [felt awful|felt sick inside|could not sleep].
    {hero} [looked at|thought of] the {blamed}, and {his} [tummy hurt|face grew hot].
    The secret was like a [heavy bag|bag of stones], and it grew [each hour|all the time].
""")
TELL = ways("""
    At last, {he} went to {elder}. "It was not the {blamed}," {he} said. "It was me. I am sorry."
    Then {hero} [took a deep breath|could not stand it any longer]. "I did it, {elder}," {he} said. "I wanted
        to {want}."
    "{elder}, I have to tell you something," {hero} [said|whispered]. "I broke the {thing}, and then I hid
        it."
    {hero} [brought|carried] {thing.the} to {elder}. "I did it," {he} [said and cried|whispered].
    "{elder}, please do not be [angry|cross]," said {hero}. "I did it. The {blamed} did nothing."
""")
FORGIVE = ways("""
    {elder} was [quiet|silent] for a moment. Then {elder.he} [took {him} in {elder.his} arms|hugged {him}].
        "Thank you for
        telling me," {elder.he} said.
    "I am sad about the {thing}," said {elder}, "but [I am glad|it is good] that you told [the truth|me]."
    {elder} [sat down|knelt down]. "{thing.One} is only a thing," {elder.he} [said|told {him}]. "[But your word
        is gold|The truth is worth more]."
    "That was [hard|not easy] to say," said {elder}. "I am not angry any more."
""")
MEND = ways("""
    Together they {mend}.
    Then {hero} and {elder} {mend}.
    To make it good again, they {mend}.
    After that, they {mend}, side by side.
""")
COST = ways("""
    "For a week, you will help me [with the dishes|in the house]," said {elder}. {hero} [nodded|knew that it
        was fair].
    "It cannot be mended," said {elder}, "but you can help me to pay for a new one." {hero} [nodded|agreed].
""")
AFTER = ways("""
    That night, {hero} slept [very well|like a baby].
    {hero} [gave|brought] the {blamed} something nice, to say sorry.
    From then on, when something went wrong, {he} told {elder} at once.
    {thing.The} was never quite the same, but {elder} loved it even more.
    And {he} never [hid|broke] anything of {elder}'s again.
""")
AFTER_NEUTRAL = ways("""
    The stone in {his} belly was gone.
    It was a long week, but it came to an end.
    {He} looked at the empty place where {thing.the} had been.
""")


@PLOTS.add("truth")
class TellTruth(Plot):
    """Tell the truth about a mistake."""

    unfit = frozenset({"polite", "quiet"})
    ends = (
        End(
            "happy",
            6,
            feelings=("relieved", "happy", "glad", "thankful"),
            lessons=lines("""
                the truth makes the heart light
                a lie grows heavier every day
                everybody makes mistakes
                it is brave to say that you did it
                it is wrong to let others take the blame
                telling the truth is always best
            """),
        ),
        End(
            "neutral",
            1,
            feelings=("sorry", "calm", "better"),
            lessons=lines("""
                telling the truth can be hard, but it is right
                some things cannot be mended
                we must make good what we break
            """),
        ),
    )
    cases = (
        Accident(
            scenery.HOME,
            scenery.ANY,
            thing="vase",
            looks=("blue", "tall", "white"),
            worth="that was as old as the house",
            want="practice for the big game",
            rule="No ball in the house",
            did="threw a ball against the wall",
            broke="The ball hit the vase, and it broke into three pieces",
            hide="behind the curtain",
            mend="glued the vase until the cracks could hardly be seen",
        ),
        Accident(
            scenery.KITCHEN,
            scenery.ANY,
            thing="jar",
            looks=("big", "full", "sweet"),
            worth="with the last plum jam of the year",
            want="have one small taste",
            rule="Nobody opens that before Sunday",
            did="climbed on a chair and reached for the jar",
            broke="The jar slipped, and there was jam all over the floor",
            hide="under the sink",
            mend="wiped the floor and cooked a new pot of jam",
        ),
        Accident(
            scenery.ATTIC,
            scenery.ANY,
            thing="picture",
            looks=("old", "little", "golden"),
            worth="of a ship at sea",
            want="be a pirate",
            rule="Do not play with swords near the picture",
            did="swung a wooden sword up there",
            broke="The sword went right through the picture",
            hide="in a trunk",
            mend="put a patch on the back and painted the waves again",
        ),
        Accident(
            scenery.HOME,
            scenery.ANY,
            thing="clock",
            looks=("brown", "old", "heavy"),
            worth="that sang like a bird every hour",
            want="see the bird inside",
            rule="Leave the clock alone",
            did="opened the little door and pulled",
            broke="A spring jumped out, and the clock stopped singing",
            hide="under the bed",
            mend="took the clock to the clockmaker and watched as it was fixed",
        ),
        Accident(
            scenery.GARDEN,
            scenery.WARM,
            thing="pot",
            looks=("red", "round", "painted"),
            worth="with a rare flower in it",
            want="ride like the wind",
            rule="No racing between the flower beds",
            did="raced a scooter down the narrow path",
            broke="The scooter bumped into the pot and cracked it from top to bottom",
            hide="behind the shed",
            mend="found a new pot and planted the flower again",
        ),
        Accident(
            scenery.KITCHEN,
            scenery.ANY,
            thing="teapot",
            looks=("white", "round", "pretty"),
            worth="with roses on it",
            want="give a tea party for the dolls",
            rule="Take the tin cups, not the teapot",
            did="took the teapot down from the shelf",
            broke="The handle came off, and the teapot rolled under the table",
            hide="in the flour bin",
            mend="glued the handle on and had a tea party with tin cups",
        ),
        Accident(
            scenery.WORKSHOP,
            scenery.ANY,
            thing="boat",
            looks=("small", "wooden", "fine"),
            worth="that had taken a whole year to carve",
            want="see if it could float",
            rule="The boat is only for looking",
            did="let the boat sail in a bucket of paint",
            broke="The sail turned green, and the mast snapped off",
            hide="in a heap of rags",
            mend="carved a new mast and painted the whole boat green",
        ),
        Accident(
            scenery.HOME,
            scenery.ANY,
            thing="mirror",
            looks=("long", "clear", "round"),
            worth="in a frame of shells",
            want="dance like a star",
            rule="Do not jump in front of the mirror",
            did="danced and jumped with a broom",
            broke="The broom hit the mirror, and a long crack ran across the glass",
            hide="with its face to the wall",
            mend="put new glass into the frame of shells",
        ),
        Accident(
            scenery.HOME,
            scenery.ANY,
            thing="book",
            looks=("thick", "old", "rare"),
            worth="about dragons and kings",
            want="read and drink cocoa at the same time",
            rule="Nothing to drink near that book",
            did="put a cup of cocoa next to the open book",
            broke="The cup tipped over, and two dragons turned brown",
            hide="behind the other books",
            mend="dried the pages by the stove and drew the dragons again",
        ),
        Accident(
            scenery.YARD,
            scenery.WINDY,
            thing="kite",
            looks=("silk", "great", "beautiful"),
            worth="from a country far away",
            want="see it fly",
            rule="We only fly the kite together",
            did="let the kite rise up between the trees",
            broke="A gust of wind pushed the kite into a branch, and it ripped",
            hide="under a bush",
            mend="patched the kite with strips of cloth",
        ),
        Accident(
            scenery.HOME,
            scenery.ANY,
            thing="lamp",
            looks=("green", "tall", "bright"),
            worth="with a silk shade",
            want="fly like a hero",
            rule="The sofa is not for jumping",
            did="jumped off the sofa with a towel for a cape",
            broke="One corner of the towel caught the lamp and pulled it down",
            hide="in the closet",
            mend="sewed a new shade out of the towel",
        ),
        Accident(
            scenery.KITCHEN,
            scenery.ANY,
            thing="cake",
            looks=("tall", "pink", "round"),
            worth="for the party in the evening",
            want="make it even prettier",
            rule="Do not touch the cake",
            did="put a whole bowl of berries on top",
            broke="The cake sank in the middle like an old hat",
            hide="under a big pot",
            mend="cut the cake into squares and put one berry on each",
        ),
    )

    def plan(self, sketch: Sketch) -> Outline:
        case: Accident = sketch.case
        thing = sketch.slots["thing"] = noun(case.thing, sketch.pick(case.looks))
        blamed = sketch.pick(BLAMED)
        sketch.let(worth=case.worth, want=case.want, rule=case.rule, did=case.did, broke=case.broke)
        sketch.let(hide=case.hide, mend=case.mend, blamed=blamed)
        sketch.let(At_place=capital(case.place.at))
        slots, happy = sketch.slots, sketch.ending == "happy"
        return Outline(
            thing=thing,
            want=f"to {case.want}",
            obstacle=f"{case.broke}, and the {blamed} was blamed",
            attempts=(f"hid {thing.the} {case.hide}",),
            resolution=f"told {slots['elder']} the truth" + (f" and {case.mend}" if happy else ""),
            objects=(blamed,),
            words=(thing.adj,),
        )

    def tell(self, tale: Tale) -> None:
        tale.open()
        tale.say(THING)
        tale.scene()
        tale.say(DID, BROKE, HIDE)
        tale.paragraph()
        tale.say(ASKED, BLAME)
        tale.more(GUILT)
        tale.paragraph()
        tale.say(TELL, FORGIVE)
        if tale.ending == "happy":
            tale.say(MEND)
            tale.close(AFTER, elder_knows=True)
        else:
            tale.say(COST)
            tale.close(AFTER_NEUTRAL, elder_knows=True)
