"""Something odd happens again and again; the hero suspects, asks, watches, and finds a good reason."""

from __future__ import annotations

from dataclasses import dataclass

from lilliput.storybook import scenery
from lilliput.storybook.grammar import lines, ways
from lilliput.storybook.plot import PLOTS, Case, End, Outline, Plot, Sketch
from lilliput.storybook.tale import Tale


@dataclass(frozen=True)
class Riddle(Case):
    """`odd` is the odd event. Two suspects follow, each with the reason for innocence. The hero finds `clue`, and
    `trail` leads on from it. `who` did it, for `reason`, and `solved` is the end of the matter."""

    thing: str
    odd: str
    question: str
    suspects: tuple[tuple[str, str], ...]
    clue: str
    trail: str
    who: str
    reason: str
    solved: str


ODD = ways("""
    {when}, {hero} was {place.at} and saw something [odd|strange]. {odd}.
    {when}, {elder} called {hero}. "[Come and look|Look at this]!" {elder.he} said {place.at}. {odd}.
    {when}, something was [not right|wrong] {place.at}. {odd}.
    {when}, {he} [went {place.to}|was {place.at}] and rubbed {his} eyes. {odd}.
""")
WANT = ways("""
    "{question}?" {hero} asked. {He} wanted to find out.
    "{question}?" {elder} [asked|wondered]. {hero} wanted to solve the riddle.
    {hero} wanted to know the answer. "{question}?" {he} [wondered|asked].
    "I want to be a detective," said {hero}. "{question}?"
""")
ASK1 = ways("""
    First, {he} thought of {who1}. But {why1}.
    "It was {who1}," [said|thought] {elder}. But {why1}.
    Was it {who1}? No, for {why1}.
    {hero} looked at {who1} first. But {why1}.
""")
ASK2 = ways("""
    Then {he} thought of {who2}. But {why2}.
    Was it {who2}, then? It could not be, because {why2}.
    Next, {hero} asked about {who2}. But {why2}.
    "Then it must be {who2}," {he} said. But {why2}.
""")
STUCK = ways("""
    "This is a hard riddle," {hero} said and scratched {his} head.
    {hero} [frowned|thought and thought]. There had to be an answer.
    "Do not guess," said {elder}. "Look."
    "A good detective looks at the ground," {elder} told {him}.
""")
CLUE = ways("""
    Then {hero} [saw|found] {clue}. It led {trail}.
    {hero} [got down on {his} knees|knelt down|looked at the ground]. There was {clue}, and it led {trail}.
    And there {he} found {clue}! {hero} followed it {trail}.
    "[A clue|Look there]!" {he} called. It was {clue}. {He} followed it {trail}.
""")
FOUND = ways("""
    There sat {who}. [Now|At last] {hero} understood. {reason}.
    And who was there? It was {who}! {reason}.
    {hero} looked around the corner and [laughed|gasped]. There was {who}. {reason}.
    It was {who}! [Nobody had thought of that|What a surprise]. {reason}.
""")
SOLVED = ways("""
    {hero} told {elder}, and they {solved}.
    So {hero} and {elder} {solved}.
    {elder} [laughed|smiled] when {elder.he} heard it. Together they {solved}.
    Now that they knew it, {hero} and {elder} {solved}.
""")
AFTER = ways("""
    From then on, everybody came to {hero} with their riddles.
    {elder} gave {him} a [magnifying glass|notebook] for the next case.
    "Case closed," said {hero} and put {his} {hands} in {his} pockets.
    And {he} kept an eye on the {thing}, just to be sure.
    That night, {he} wrote the whole case down in a little book.
""")
NEVER = ways("""
    {hero} followed it as far as {he} could, but then rain came and washed it away.
    But when {he} came back to show it to {elder}, it was gone, as if somebody had swept it up.
""")
OPEN = ways("""
    "Some riddles stay riddles," {elder} said [and smiled|softly]. Nobody ever learned more about the {thing}.
    {hero} [watched|kept an eye on] the {thing} for days, but {he} never found out.
""")
AFTER_NEUTRAL = ways("""
    But {he} still wonders about the {thing}.
    {He} put a question mark next to it in {his} little book.
    At night, {he} made up an answer of {his} own.
""")


@PLOTS.add("mystery")
class Mystery(Plot):
    """Solve a riddle."""

    ends = (
        End(
            "happy",
            7,
            feelings=("glad", "proud", "pleased", "happy"),
            lessons=lines("""
                it is better to look than to guess
                nobody should be blamed without a reason
                small clues tell big stories
                what looks bad may have a good reason
                asking questions leads to answers
                patience solves many riddles
            """),
        ),
        End(
            "neutral",
            1,
            feelings=("curious", "puzzled", "calm"),
            lessons=lines("""
                we do not have to know everything
                a riddle can be fun without an answer
                not every question has an answer
            """),
        ),
    )
    cases = (
        Riddle(
            scenery.KITCHEN,
            scenery.ANY,
            thing="cookies",
            odd="Every morning, three cookies were missing from the plate",
            question="Who takes the cookies",
            suspects=(("the dog", "the dog slept outside"), ("the baby", "the baby had no teeth yet")),
            clue="a line of crumbs on the floor",
            trail="to the hole behind the stove",
            who="a mouse with seven babies",
            reason="The mouse needed food for all of them",
            solved="put a small plate of bread by the hole and left the cookies in a tin",
        ),
        Riddle(
            scenery.GARDEN,
            scenery.SUMMER,
            thing="carrots",
            odd="There were holes in the ground where the carrots had been",
            question="Who steals our carrots",
            suspects=(("the neighbor", "the neighbor did not like carrots"), ("the crow", "a crow cannot dig so deep")),
            clue="a row of round tracks in the mud",
            trail="under the fence",
            who="a wild rabbit with long ears",
            reason="The meadow was dry, and there was no grass left to eat",
            solved="planted a row of carrots for the rabbit behind the fence",
        ),
        Riddle(
            scenery.YARD,
            scenery.WINDY,
            thing="socks",
            odd="One sock was missing from each pair on the line",
            question="Where do the socks go",
            suspects=(("the goat", "the goat was tied to a post"), ("the wind", "the wind would have taken both")),
            clue="a thread of red wool on a branch",
            trail="up into the apple tree",
            who="a magpie on a colorful nest",
            reason="It had lined the nest with socks to keep the eggs warm",
            solved="gave the bird the odd socks and hung the others inside",
        ),
        Riddle(
            scenery.HOME,
            scenery.WINTER,
            thing="footprints",
            odd="There were footprints in the snow that stopped in the middle",
            question="Can somebody fly",
            suspects=(("the mailman", "the mailman had much bigger boots"), ("the cat", "a cat has four feet")),
            clue="a broken twig right next to the last step",
            trail="to a rope that hung from the tree",
            who="the boy from next door on his new swing",
            reason="The boy had walked to the rope and swung over the fence",
            solved="made more footprints with him, and swung until dark",
        ),
        Riddle(
            scenery.LIBRARY,
            scenery.ANY,
            thing="book",
            odd="The same book lay open on the table every morning",
            question="Who reads the book at night",
            suspects=(("the librarian", "the librarian had read it already"), ("a ghost", "there are no ghosts")),
            clue="a trail of wax on the floor",
            trail="down to the cellar door",
            who="the old cleaning man with a candle",
            reason="The old man wanted to learn to read at last",
            solved="read the book with him every Monday",
        ),
        Riddle(
            scenery.FARM,
            scenery.MILD,
            thing="eggs",
            odd="The white hen had not laid eggs in the nest for a week",
            question="Where are the eggs",
            suspects=(("the fox", "there were no feathers on the ground"), ("the dog", "the dog did not like eggs")),
            clue="a trail of bent grass",
            trail="behind the old plow",
            who="the white hen on a secret nest",
            reason="The hen wanted to have chicks in peace",
            solved="left the eggs alone and brought the hen corn until the chicks came",
        ),
        Riddle(
            scenery.ATTIC,
            scenery.ANY,
            thing="music",
            odd="Soft music came from the attic whenever the door was shut",
            question="Where does the music come from",
            suspects=(("the radio", "the radio had been broken for years"), ("the wind", "the wind knows no tunes")),
            clue="a clean path in the dust",
            trail="to a chest in the corner",
            who="a music box with a dancer",
            reason="Each time the door shut, the floor shook and the box began to play",
            solved="oiled the box and had music whenever they liked",
        ),
        Riddle(
            scenery.POND,
            scenery.SUMMER,
            thing="boots",
            odd="A pair of boots moved from one side of the pond to the other every night",
            question="Who moves the boots",
            suspects=(("the children", "they were in bed by then"), ("the duck", "a duck cannot carry boots")),
            clue="a trail of wet drops",
            trail="around the reeds to a stump",
            who="a sleepy fisherman",
            reason="The man came at night, waded home, and forgot the boots each time",
            solved="wrote his name on the boots in big letters",
        ),
        Riddle(
            scenery.SCHOOL,
            scenery.ANY,
            thing="flowers",
            odd="Every Monday, there were fresh flowers on the teacher's desk",
            question="Who brings the flowers",
            suspects=(("the cook", "the cook did not come on Mondays"), ("the big boys", "they were always late")),
            clue="a trail of yellow petals",
            trail="to the little house at the gate",
            who="the old gardener",
            reason="The gardener had been a pupil here and wanted to say thank you",
            solved="wrote him a letter and put flowers in it",
        ),
        Riddle(
            scenery.MARKET,
            scenery.MILD,
            thing="apples",
            odd="Each day, one apple rolled away from the same stand",
            question="Why do the apples run away",
            suspects=(("a thief", "nobody had been near the stand"), ("the wind", "there was no wind at all")),
            clue="a line of hoof prints",
            trail="under the table",
            who="a small pony with a patient face",
            reason="The pony pushed with his nose and waited until an apple fell",
            solved="paid for a bag of apples and fed the pony by {hand}",
        ),
        Riddle(
            scenery.BEACH,
            scenery.SUMMER,
            thing="shells",
            odd="All the shells on the sand had been laid in a circle",
            question="Who made the circle of shells",
            suspects=(("the waves", "waves do not make circles"), ("the gulls", "gulls only eat what is inside")),
            clue="a line of small round holes in the sand",
            trail="to a chair behind the dunes",
            who="an old woman with a cane",
            reason="The old woman made a circle for each birthday of her grandchild, who lived far away",
            solved="sent a picture of the shells over the sea",
        ),
        Riddle(
            scenery.STREET,
            (scenery.SNOWY_WINTER,),
            thing="path",
            odd="Somebody had cleared the path in front of every house before the sun came up",
            question="Who clears the path",
            suspects=(("the baker", "the baker was busy with the bread"), ("the snowman", "the snowman had not moved")),
            clue="a line of small boot prints",
            trail="to the last house on the street",
            who="a shy girl with a shovel",
            reason="The girl could not sleep and liked to make people happy",
            solved="brought her a pie and cleared the path together with her",
        ),
    )

    def plan(self, sketch: Sketch) -> Outline:
        case: Riddle = sketch.case
        (who1, why1), (who2, why2) = sketch.two(case.suspects)
        sketch.let(thing=case.thing, odd=case.odd, question=case.question, clue=case.clue, trail=case.trail)
        sketch.let(who=case.who, reason=case.reason, solved=case.solved)
        sketch.let(who1=who1, why1=why1, who2=who2, why2=why2)
        solved = sketch.ending == "happy"
        return Outline(
            thing=case.thing,
            want=f"to know: {case.question}?",
            obstacle=case.odd,
            attempts=sketch.attempts(f"suspected {who1}", f"suspected {who2}"),
            resolution=f"it was {case.who}" if solved else "the riddle was not solved",
            objects=(case.clue,),
        )

    def tell(self, tale: Tale) -> None:
        tale.open()
        tale.scene()
        tale.say(ODD, WANT)
        tale.paragraph()
        tale.unless_short(ASK1)
        tale.more(ASK2)
        tale.more(STUCK, chance=0.5)
        tale.paragraph()
        tale.say(CLUE)
        if tale.ending == "happy":
            tale.say(FOUND, SOLVED)
            tale.close(AFTER, elder_knows=True)
        else:
            tale.say(NEVER, OPEN)
            tale.close(AFTER_NEUTRAL, elder_knows=True)
