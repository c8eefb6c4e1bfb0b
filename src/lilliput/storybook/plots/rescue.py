"""An animal is in trouble; strength does not help, but a good idea does."""

from __future__ import annotations

from dataclasses import dataclass

from lilliput.storybook import scenery
from lilliput.storybook.grammar import creature, lines, ways
from lilliput.storybook.plot import PLOTS, Case, End, Outline, Plot, Sketch
from lilliput.storybook.tale import Tale


@dataclass(frozen=True)
class Trouble(Case):
    """The hero hears `sound` first, then sees `trouble` (`state` in short). Two tries follow, each with the reason why
    it fails. `tool` gives the idea, `rescue` is its use, and `free` the animal's act afterwards."""

    thing: str
    sound: str
    trouble: str
    state: str
    tries: tuple[tuple[str, str], ...]
    tool: str
    rescue: str
    free: str
    thanks: str


HEAR = ways("""
    {when}, {he} was walking {place.at} when {he} heard {sound}.
    {when}, {he} went {place.to} and heard {sound}.
    {when}, {hero} was playing {place.at}. All at once, there was {sound}.
    {when}, there was {sound} {place.at}. {hero} [stopped|stood still] and listened.
    {when}, {hero} and {elder} were {place.at} when {hero} heard {sound}.
""")
SEE = ways("""
    {trouble}
    {He} [followed|ran to] the sound. {trouble}
    "[What is that|Who is there]?" {he} [asked|said]. {trouble}
""")
WANT = ways("""
    {hero} wanted to help {animal}.
    "Poor little {animal.kind}!" said {hero}. {He} wanted to [help|get {animal.him} out].
    "[Do not be afraid|Do not worry|Hold still]. I [want to|will] help you," [said {hero}|{he} told {animal}].
    {animal.Name} looked at {hero} with [big|sad|frightened] eyes, and {hero} wanted to help.
""")
FIRST = ways("""
    First, {he} {try1}, but {fail1}.
    {He} {try1}. But {fail1}.
    {He} {try1}, but that did not help, for {fail1}.
    Quickly, {he} {try1}. It did no good, because {fail1}.
""")
SECOND = ways("""
    Then {he} {try2}, but {fail2}.
    So {he} {try2}. That did not work, because {fail2}.
    Next, {hero} {try2}. But {fail2}.
    {He} did not give up. {He} {try2}, but {fail2}.
""")
HOPE = ways("""
    {animal.Name} [made a small sound|trembled|closed {animal.his} eyes].
    "I will not leave you [alone|here]," {hero} [said|whispered].
    {hero} [sat back|stopped] and thought [hard|about it].
    "There must be another way," [thought|said] {hero}.
""")
IDEA = ways("""
    Then {he} saw {tool}. That was it!
    Then {hero} saw {tool} and had [an idea|a good idea].
    {He} looked around and found {tool}.
    "Wait!" {he} [said|called], for {he} had seen {tool}.
""")
RESCUE = ways("""
    [Slowly|Gently|Carefully], {hero} {rescue}, and {animal} {free}.
    {hero} {rescue}. It worked! {animal.Name} {free}.
    {He} {rescue}. Then {animal} {free}, and {he} [cheered|laughed].
    So {hero} {rescue}, and at last {animal} {free}.
""")
THANKS = ways("""
    {animal.Name} {thanks}[ to say thank you| before {animal.he} left|].
    Before {animal.he} left, {animal} {thanks}.
    {animal.Name} turned around once more and {thanks}.
    "Good luck!" said {hero}, and {animal} {thanks}.
""")
KEEP = ways("""
    {hero} wanted to take {animal} home, but {elder} came and shook {elder.his} head.
    "[May|Can] I keep it?" {hero} asked when {elder} came. {elder} shook {elder.his} head.
    "Stay with me, little {animal.kind}," said {hero}. {elder} had come to see and [took|held] {hero}'s hand.
""")
LET_GO = ways("""
    "It belongs here," {elder} said. "[Its family is waiting|It has a home of its own]."
    "It would [miss its home|not be happy with us]," said {elder}. So {hero} said goodbye.
    "You helped it, and now it must go its own way," {elder} said. {hero} [nodded|waved].
""")
AFTER = ways("""
    The next day, {hero} came back {place.to}, and {animal} was there and {thanks}.
    {hero} waved until {animal} was [gone|out of sight].
    After that, {he} always [looked|listened] for {animal} {place.at}.
    {He} [ran|skipped] all the way home to tell {elder}.
    "[Come back soon|See you again], little friend," {he} [whispered|said].
""")
AFTER_NEUTRAL = ways("""
    Every night, {hero} thought of {animal} and wished it [well|sweet dreams].
    On the way home, {hero} held {elder}'s hand.
    At home, {hero} drew a picture of {animal} and hung it on the wall.
""")


@PLOTS.add("rescue")
class Rescue(Plot):
    """Help an animal in trouble."""

    ends = (
        End(
            "happy",
            8,
            feelings=("happy", "proud", "glad", "joyful"),
            lessons=lines("""
                a good idea can be stronger than big arms
                even a small hero can do a great deed
                it is good to help those in need
                being gentle works better than pulling
                one should never give up too soon
                kindness needs no words
                animals can be good friends
            """),
        ),
        End(
            "neutral",
            1,
            feelings=("a little sad", "calm", "quiet inside"),
            lessons=lines("""
                love can mean letting go
                everybody needs a home of their own
                we can help somebody and still say goodbye
                a friend is not a toy
            """),
        ),
    )
    cases = (
        Trouble(
            scenery.FARM,
            scenery.MILD,
            thing="lamb",
            sound="a loud baa",
            trouble="A lamb had put its head through the fence and could not get it out.",
            state="the lamb was stuck in the fence",
            tries=(
                ("pulled at the lamb", "that hurt its ears"),
                ("pushed from the front", "the boards were too tight"),
            ),
            tool="a strong iron bar by the gate",
            rescue="pushed the boards apart with the bar",
            free="slipped out backward",
            thanks="rubbed its nose on {his} knee",
        ),
        Trouble(
            scenery.POND,
            scenery.WARM,
            thing="bee",
            sound="a tired buzz",
            trouble="A bee had fallen into the water, and its wings were wet.",
            state="the bee could not fly with wet wings",
            tries=(
                ("reached out with one {hand}", "the bee was too far from the edge"),
                ("blew on the water", "that only made the bee spin around"),
            ),
            tool="a large leaf on the ground",
            rescue="pushed the leaf over the water like a boat",
            free="climbed on it and dried its wings in the sun",
            thanks="flew one round over {his} head",
        ),
        Trouble(
            scenery.BEACH,
            scenery.SUMMER,
            thing="turtle",
            sound="a scratching noise",
            trouble="A big turtle lay on its back in the hot sand and kicked its legs.",
            state="the turtle could not turn over",
            tries=(
                ("tried to lift the turtle", "it was as heavy as a rock"),
                ("pushed with both {hands}", "{his} feet slid in the sand"),
            ),
            tool="a long piece of wood from the sea",
            rescue="put the wood under the shell and leaned on it",
            free="rolled over onto its feet",
            thanks="blinked with its old eyes",
        ),
        Trouble(
            scenery.STREET,
            scenery.MILD,
            thing="kitten",
            sound="a thin meow",
            trouble="A kitten sat high up on a wall and did not dare to jump.",
            state="the kitten was too afraid to come down",
            tries=(
                ("called the kitten", "it only meowed and shook"),
                ("stretched up {his} arms", "the wall was too high"),
            ),
            tool="a wide board next to a shed",
            rescue="leaned the board against the wall like a bridge",
            free="walked down on soft feet",
            thanks="purred around {his} legs",
        ),
        Trouble(
            scenery.RIVER,
            scenery.SUMMER,
            thing="fish",
            sound="a small splash",
            trouble="A silver fish lay in a puddle that was almost dry.",
            state="the fish was cut off from the river",
            tries=(
                ("tried to pick the fish up", "it slipped out of {his} {hands}"),
                ("carried water in {his} {hands}", "it ran out between {his} fingers"),
            ),
            tool="an old bucket in the reeds",
            rescue="filled the bucket, let the fish swim in, and poured it into the river",
            free="shot away into the deep water",
            thanks="jumped high out of the water",
        ),
        Trouble(
            scenery.FOREST,
            scenery.WARM,
            thing="butterfly",
            sound="a soft flutter",
            trouble="A butterfly was caught in a sticky web between two trees.",
            state="the butterfly was caught in a web",
            tries=(
                ("waved {his} {hands} at the web", "it did not break"),
                ("blew at it", "the web only swung back and forth"),
            ),
            tool="a thin twig",
            rescue="cut the threads with the twig, one by one",
            free="opened its blue wings",
            thanks="sat on {his} nose for a moment",
        ),
        Trouble(
            scenery.GARDEN,
            scenery.MILD,
            thing="frog",
            sound="a hollow croak",
            trouble="A frog had fallen into a deep, empty pot and could not get out.",
            state="the frog could not get out of the pot",
            tries=(
                ("tried to tip the pot over", "it was full of stones at the bottom"),
                ("told the frog to jump", "the sides were too high"),
            ),
            tool="a rough stick beside the hose",
            rescue="put the stick into the pot like a ladder",
            free="climbed up and hopped out",
            thanks="gave a happy croak",
        ),
        Trouble(
            scenery.PARK,
            scenery.SPRING,
            thing="duckling",
            sound="a sad peep",
            trouble="A duckling had slipped through the bars of a drain, and its mother quacked and quacked.",
            state="the duckling was down in the drain",
            tries=(
                ("tried to lift the bars", "they were made of iron"),
                ("reached down between the bars", "the duckling sat too deep"),
            ),
            tool="a net that somebody had left on a bench",
            rescue="let the net down and waited until the duckling stepped in",
            free="came up and ran to its mother",
            thanks="peeped three times",
        ),
        Trouble(
            scenery.MEADOW,
            scenery.MILD,
            thing="dog",
            sound="a low whine",
            trouble="A brown dog stood there on three legs, because it had a thorn in its foot.",
            state="the dog had a thorn in its foot",
            tries=(
                ("tried to grab the thorn", "the dog pulled its foot away"),
                ("told the dog to sit still", "it was too scared"),
            ),
            tool="a bit of sausage left in {his} bag",
            rescue="gave the dog the sausage and pulled out the thorn while it ate",
            free="put its foot down and ran in a circle",
            thanks="licked {his} {hand}",
        ),
        Trouble(
            scenery.YARD,
            scenery.MILD,
            thing="goat",
            sound="an angry bleat",
            trouble="A goat had run around a post so often that its rope was all wound up.",
            state="the goat was tied up tight",
            tries=(
                ("pulled at the knot", "the goat had pulled it too tight"),
                ("tried to push the goat back around the post", "it would not take one step"),
            ),
            tool="a bunch of fresh clover",
            rescue="held out the clover and walked around the post, with the goat behind {him}",
            free="was free after six rounds",
            thanks="ate the clover and nodded its beard",
        ),
        Trouble(
            scenery.FIELD,
            scenery.WINTER,
            thing="sparrow",
            sound="a weak chirp",
            trouble="A sparrow lay in the snow, stiff with cold.",
            state="the sparrow was too cold to fly",
            tries=(
                ("gave it some crumbs", "it could not even open its beak"),
                ("threw it up into the air", "its wings did not move"),
            ),
            tool="the fat wool cap in {his} own bag",
            rescue="wrapped the sparrow in the cap and held it close",
            free="grew warm and lifted its head",
            thanks="sang a tiny song",
        ),
        Trouble(
            scenery.HILL,
            scenery.SUMMER,
            thing="snail",
            sound="somebody sigh",
            trouble="A snail sat in the middle of the hot road, far from any shade.",
            state="the snail was too slow for the hot road",
            tries=(
                ("tried to lift the snail", "it held on to the road"),
                ("held up {his} {hands} to make a shade", "{his} arms grew tired"),
            ),
            tool="a wet green leaf by the ditch",
            rescue="laid the leaf in front of the snail and carried it away when it had crept on",
            free="slid into the cool grass",
            thanks="waved its horns",
        ),
    )

    def plan(self, sketch: Sketch) -> Outline:
        case: Trouble = sketch.case
        animal = sketch.cast("animal", creature(case.thing, "it"))
        (try1, fail1), (try2, fail2) = case.tries
        sketch.let(sound=case.sound, trouble=case.trouble, tool=case.tool, state=case.state)
        sketch.let(rescue=case.rescue, free=case.free, thanks=case.thanks)
        sketch.let(try1=try1, fail1=fail1, try2=try2, fail2=fail2)
        return Outline(
            thing=case.thing,
            want=f"to help {animal}",
            obstacle=case.state,
            attempts=sketch.attempts(sketch.slots["try1"], sketch.slots["try2"]),
            resolution=sketch.slots["rescue"],
            objects=(sketch.slots["tool"],),
        )

    def tell(self, tale: Tale) -> None:
        tale.open()
        tale.scene()
        tale.say(HEAR, SEE)
        tale.paragraph()
        tale.say(WANT)
        tale.unless_short(FIRST)
        tale.more(SECOND)
        tale.more(HOPE, chance=0.4)
        tale.paragraph()
        tale.say(IDEA, RESCUE)
        if tale.ending == "happy":
            tale.say(THANKS)
            tale.close(AFTER)
        else:
            tale.say(KEEP, LET_GO)
            tale.close(AFTER_NEUTRAL, elder_knows=True)
