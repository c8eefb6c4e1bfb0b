"""The plots in short: for each plot its events in a few sentences, a summary, and the reason for its trouble."""

from __future__ import annotations

from dataclasses import dataclass

from lilliput.storybook.grammar import Ways, ways


@dataclass(frozen=True, slots=True)
class Brief:
    """A plot in short. Every phrase has the slots of the plot.

    start    the want, with the time and the place
    ends     the trouble and what comes of it, by the kind of end
    wanted   the want, after "wanted"
    why      a question for the reason of the trouble, and its answer
    summary  the first half of a summary, to which the outcome is added
    outcome  what happened at the end, by the kind of end: a clause with its subject
    """

    start: Ways
    ends: dict[str, Ways]
    wanted: str
    why: tuple[str, str]
    summary: str
    outcome: dict[str, str]


def _brief(start: str, wanted: str, why: tuple[str, str], summary: str, **ends: tuple[str, str]) -> Brief:
    told = {kind: ways(text) for kind, (text, _) in ends.items()}
    return Brief(ways(start), told, wanted, why, summary, {kind: outcome for kind, (_, outcome) in ends.items()})


BRIEFS: dict[str, Brief] = {
    "astray": _brief(
        """
        {when}, {hero} saw {lure} {place.at}. {He} followed it {path}. Soon {he} was lost.
        {when}, {hero} was {place.at} with {elder}. {He} saw {lure} and ran after it. Then {he} was lost.
        """,
        "to see {lure}",
        ("Why was {hero} lost?", "{hero} followed {lure}."),
        "{hero} followed {lure} and was lost",
        happy=(
            """
            {He} remembered {elder}'s rule and {did}. "There you are!" cried {elder}.
            {hero} {did}. Before long, {elder} came running and held {him} tight.
            """,
            "{elder} found {him} again",
        ),
    ),
    "bedtime": _brief(
        """
        {when}, {hero} {day}. At night, {he} wanted to sleep, but {noise}.
        {when}, {he} {day}. Then {he} was in bed and could not sleep, for {noise}.
        """,
        "to sleep",
        ("Why could {hero} not sleep?", "{hero} could not sleep because {noise}."),
        "{hero} could not sleep because {noise}",
        happy=(
            """
            {elder} came, and they went to look. {Cause}! So they {fix}.
            "Let us go and look," said {elder}. {Cause}! They {fix}.
            """,
            "{he} and {elder} {fix}",
        ),
        neutral=(
            """
            {elder} did not hear {him}. {hero} lay awake for a long time.
            "I cannot sleep," {he} whispered. {hero} lay awake for a long time.
            """,
            "{he} lay awake for a long time",
        ),
    ),
    "build": _brief(
        """
        {when}, {hero} and {friend} were {place.at}. {hero} wanted to build {thing.a}. They {first}, but {fell}.
        {when}, {hero} wanted to build {thing.a} {place.at}. "I will help you," said {friend}. They {first}, but {fell}.
        """,
        "to build {thing.a}",
        ("Why did the first {thing} not work?", "{reason}."),
        "{hero} and {friend} wanted to build {thing.a}",
        happy=(
            """
            {reason}. So they {better}. This time {stands}.
            "{reason}," said {hero}. They {better}. And see, {stands}!
            """,
            "{stands}",
        ),
        neutral=(
            """
            {reason}. They {better}, but it was too late, and they could not finish it.
            They {better}. "It is late. I have to go home," said {friend}. {thing.The} was not done.
            """,
            "they could not finish it that day",
        ),
    ),
    "fear": _brief(
        """
        {hero} was afraid of {a_thing}. {when}, {event} {He} wanted {want}.
        {when}, {event} {hero} wanted {want}. But {he} was afraid of {a_thing}.
        """,
        "{want}",
        ("What was {hero} afraid of?", "{hero} was afraid of {a_thing}."),
        "{hero} was afraid of {a_thing}",
        happy=(
            """
            "{advice}," said {elder}. So {hero} {did}. "I was brave!" {he} called.
            {elder} was there and smiled. So {hero} {did}. It was not so bad at all.
            """,
            "{he} {did}",
        ),
        neutral=(
            """
            {He} {tried}, but {fled}. "We can try again," said {elder}. {hero} was still too afraid.
            {He} {tried}. But {fled}, for {he} was still too afraid.
            """,
            "{he} was still too afraid",
        ),
    ),
    "gift": _brief(
        """
        {when}, {hero} was {place.at} and wanted to {make} {thing.a} for {friend}. But {he} had no {need}.
        {when}, {he} wanted to {make} {thing.a} for {friend}. But {place.at}, {he} had no {need}.
        """,
        "to {make} {thing.a} for {friend}",
        ("Why did {hero} go to {keeper}?", "{hero} had no {need}."),
        "{hero} wanted to {make} {thing.a} for {friend}",
        happy=(
            """
            {hero} {did}, and {keeper} gave {him} some. Then {finish}. "Thank you!" said {friend}.
            {hero} {did} for {keeper}. Then {he} got the {need}, and {finish}. {friend} smiled.
            """,
            "{finish}",
        ),
        neutral=(
            """
            {hero} {did}, and {keeper} gave {him} some. But when {thing.the} was ready, {friend} was not at home.
            {keeper.Name} gave {him} the {need}, and {hero} made it. "Is {friend} here?" {he} asked. But {friend} was
                not at home.
            """,
            "{friend} was not at home",
        ),
    ),
    "lost": _brief(
        """
        {when}, {hero} was {place.at} with {his} {thing.full}. Later, it was gone! {He} wanted to find {thing.the}.
        {when}, {he} took {his} {thing.full} {place.to}. "Where is my {thing}?" {he} cried later. {thing.The} was lost.
        """,
        "to find {thing.the}",
        ("What was lost?", "The {thing} of {hero} was lost."),
        "{hero} lost {his} {thing.full}",
        happy=(
            """
            {hero} looked {where1}. "When did you have it last?" asked {elder}. They looked {spot}, and there it was!
            {He} looked {where1}, but it was not there. Then {he} looked {spot}. There was {thing.the}!
            """,
            "{he} found it {spot}",
        ),
        sad=(
            """
            {He} looked {where1} and {where2}. But {thing.the} was not found.
            "We can look again," said {elder}. They looked {where1} and {where2}, but {thing.the} was not found.
            """,
            "it was not found",
        ),
    ),
    "mystery": _brief(
        """
        {when}, {hero} saw something odd {place.at}. {odd}. {He} wanted to find out why.
        {when}, {he} was {place.at}. {odd}. "{question}?" {hero} wondered.
        """,
        "to find out about the {thing}",
        ("What was odd?", "{odd}."),
        "{hero} saw something odd",
        happy=(
            """
            {hero} found {clue}. Then {he} saw {who}. {reason}.
            "Look!" said {hero}, for there was {clue}. And there sat {who}. {reason}.
            """,
            "it was {who}",
        ),
        neutral=(
            """
            {hero} found {clue}, but the rain washed it away. Nobody ever knew the answer.
            There was {clue}, but then it was gone. "Some riddles stay," said {elder}.
            """,
            "nobody ever knew the answer",
        ),
    ),
    "newcomer": _brief(
        """
        {when}, {friend_a} was {place.at} for the first time. {hero} wanted to be a friend, but {reason}.
        {when}, {friend_a} {alone} {place.at}. "I want to be your friend," said {hero}. But {reason}.
        """,
        "to be a friend",
        ("Why did the other one say nothing?", "It was because {reason}."),
        "{hero} wanted to be a friend of somebody new",
        happy=(
            """
            So {hero} {offer}. Then {friend} {reply}. Now they were friends.
            {hero} {offer}. Then the other one {reply}. "My name is {friend}," {friend.he} said.
            """,
            "{friend} was a new friend",
        ),
        neutral=(
            """
            So {hero} {offer}. {friend.Name} ran away but waved.
            {hero} {offer}. "Do you want to play?" {he} asked. {friend.Name} ran away but waved.
            """,
            "{friend} ran away but waved",
        ),
    ),
    "promise": _brief(
        """
        {when}, {elder} asked {hero} to {task}. "I promise!" said {hero}. Then {friend} came and wanted to play.
        {when}, {hero} promised {elder} to {task}. But then {friend} called {him} to play.
        """,
        "to {duty}",
        ("What did {hero} promise?", "{hero} promised to {duty}."),
        "{hero} promised to {duty}",
        happy=(
            """
            But {hero} {kept}. Soon {reward}. {elder} came home and smiled.
            "A promise is a promise," said {hero}. {He} {kept}. And see, {reward}!
            """,
            "{he} kept the promise",
        ),
        sad=(
            """
            {hero} went to play first. When {he} came back, {broken}. "I am sorry," {he} said.
            {He} went to play first. Later, {broken}. {hero} cried and {amends}.
            """,
            "{he} broke the promise",
        ),
    ),
    "quarrel": _brief(
        """
        {when}, {hero} and {friend} found {thing.a} {place.at}. {hero} wanted to {mine}, but {friend} wanted to {yours}.
        {when}, {hero} and {friend} were {place.at} with {thing.a}. "I want to {mine}!" said {hero}. But {friend} wanted
            to {yours}.
        """,
        "to {mine}",
        ("Why did {hero} and {friend} fight?", "{hero} wanted to {mine}, but {friend} wanted to {yours}."),
        "{hero} and {friend} fought over {thing.a}",
        happy=(
            """
            They fought until {harm}. Then {hero} said sorry. {shared}.
            They fought until {harm}. "{idea}," said {friend}. {shared}.
            """,
            "they were friends again",
        ),
        sad=(
            """
            They fought until {harm}. Then {friend} went home.
            They fought until {harm}. "I do not want to play with you," said {friend} and went home.
            """,
            "{friend} went home",
        ),
    ),
    "race": _brief(
        """
        {when}, there was {race_a} {place.at}. {hero} wanted to win {thing.a}. But in the race, {trouble}.
        {when}, {hero} and {friend} were in {race_a} {place.at}. "I want to win {thing.a}," said {hero}. Then {trouble}.
        """,
        "to win {thing.the}",
        ("What happened in the race?", "{trouble}."),
        "{hero} was in {race_a} with {friend}",
        happy=(
            """
            {hero} stopped and {help}. In the end, {finish}.
            {hero} did not think long and {help}. "Thank you!" said {friend}, and {finish}.
            """,
            "{he} stopped and helped {friend}",
        ),
        sad=(
            """
            {hero} did not stop. {He} went on and won {thing.the}, but {friend} was hurt and cried.
            "Wait for me!" called {friend}. But {hero} went on and won {thing.the}.
            """,
            "{he} won, but did not help {friend}",
        ),
    ),
    "reach": _brief(
        """
        {when}, {hero} was {place.at} with {his} {thing.full}. {lost} {He} wanted it back, but {because}.
        {when}, {he} took {his} {thing.full} {place.to}. {lost} {hero} wanted it back, but {because}.
        """,
        "to get {thing.the} back",
        ("Why could {hero} not get {thing.the} back?", "{hero} could not get it back because {because}."),
        "{hero} wanted to get {his} {thing.full} back, but {because}",
        happy=(
            """
            Then {helper.a} came. {helper.Name} {moves} {way} and brought {thing.the} back.
            "I can {can}," said {helper.a}. {helper.Name} {moves} {way} and came back with {thing.the}.
            """,
            "{helper} brought it back",
        ),
        sad=(
            """
            {hero} waited, but nobody came. Then {gone}.
            Then {gone}. "Oh no!" cried {hero}. It was too late.
            """,
            "{gone}",
        ),
    ),
    "rescue": _brief(
        """
        {when}, {hero} heard {sound} {place.at}. {trouble} {He} wanted to help {animal}.
        {when}, {he} was {place.at}. {trouble} "I want to help you," {hero} told {animal}.
        """,
        "to help {animal}",
        ("Why did {animal} need help?", "{animal.Name} needed help because {state}."),
        "{hero} wanted to help {animal}",
        happy=(
            """
            {hero} saw {tool}. {He} {rescue}. {animal.Name} {free}.
            "{elder}, look!" said {hero}, for {he} saw {tool}. {hero} {rescue}. {animal.Name} {free}.
            """,
            "{he} {rescue}",
        ),
        neutral=(
            """
            {hero} saw {tool}. {He} {rescue}. Then {animal} went away.
            {hero} saw {tool} and {rescue}. "Now it must go its own way," said {elder}. {animal.Name} went away.
            """,
            "{he} {rescue}, and it went away",
        ),
    ),
    "save": _brief(
        """
        {when}, {hero} saw {thing.a} in the {shop} {place.at}. {He} wanted {thing.the} {why}. It cost {price} coins.
        {when}, {he} was {place.at}. {hero} saw {thing.a} in the {shop} and wanted it {why}. "{Price} coins," said
            the sign.
        """,
        "{thing.the} {why}",
        ("How many coins did {thing.the} cost?", "{thing.The} cost {price} coins."),
        "{hero} wanted {thing.a} that cost {price} coins",
        happy=(
            """
            {He} {job1} for {pay1} coins and {job2} for {pay2} coins. Then {hero} bought {thing.the}.
            {hero} {job1} for {pay1} coins and {job2} for {pay2} more. "Here are my coins!" {he} said and
                bought {thing.the}.
            """,
            "{he} worked for the coins and bought it",
        ),
        neutral=(
            """
            {He} {job1} for {pay1} coins and {job2} for {pay2} coins. But {thing.the} had been sold.
            {hero} {job1} and {job2} for the coins. "I am sorry," said the man in the shop. {thing.The} had been sold.
            """,
            "it had been sold",
        ),
    ),
    "seed": _brief(
        """
        {when}, {hero} got {seed_a} from {elder}. {He} wanted {thing.a} {why}. {hero} put it into the earth {place.at}.
        {when}, {he} wanted {thing.a} {why}. So {hero} put {seed_a} into the earth {place.at}.
        """,
        "{thing.a} {why}",
        ("Why did {hero} have to wait?", "{thing.The} takes time to grow."),
        "{hero} wanted {thing.a} {why}",
        happy=(
            """
            {He} {try1}, but {fail1}. "You have to wait," said {elder}. So {hero} waited, and at last {grown}.
            {He} gave it some water each day and waited. And at last, {grown}!
            """,
            "{grown}",
        ),
        neutral=(
            """
            {He} {try1}, but {fail1}. Then the plant died.
            {He} could not wait and {try1}. "That is too much," said {elder}. Then the plant died.
            """,
            "the plant died",
        ),
    ),
    "skill": _brief(
        """
        {when}, {hero} saw {seen} {place.at}. {He} wanted to {do} too. But {why1}, and {he} {fail1}.
        {when}, {he} was {place.at}. "I want to {do}!" said {hero}. {He} tried it, but {why1}, and {he} {fail1}.
        """,
        "to {do}",
        ("Why was it hard for {hero}?", "It was hard because {why1}."),
        "{hero} wanted to {do}",
        happy=(
            """
            "{tip}," said {elder}. {hero} {better}, and then {he} tried again and again. {can}.
            So {hero} {better} and tried it again. {can}!
            """,
            "{he} learned to {do}",
        ),
        neutral=(
            """
            "{tip}," said {elder}. {hero} tried again, but {he} still could not {do}.
            {hero} {better}. But when the day was over, {he} still could not {do}.
            """,
            "{he} still could not {do}",
        ),
    ),
    "trade": _brief(
        """
        {when}, {hero} met {owner.a} {place.at}. {owner.He} had {thing.a}, and {hero} wanted it {why}. But {owner}
            wanted {second} for it.
        {when}, {he} was {place.at}. {hero} saw {thing.a} and wanted it {why}. "Give me {second} for it," said
            {owner.a}.
        """,
        "{thing.the} {why}",
        ("What did {owner} want for {thing.the}?", "{owner.Name} wanted {second} for {thing.the}."),
        "{hero} wanted {thing.a}, and {owner} wanted {second} for it",
        happy=(
            """
            {hero} {work}. {other.A} gave {him} {second} for {third_the}. Then {he} traded {second_the} for {thing.the}.
            So {hero} {work}. "I can give you {second} for that," said {other.a}. Then {hero} got {thing.the}.
            """,
            "{he} traded {second_the} for it",
        ),
        neutral=(
            """
            {hero} {work} and got {second} for {third_the}. But when {he} came back, {owner} was gone.
            So {hero} {work}. "Here is {second} for that," said {other.a}. But then {owner} was gone.
            """,
            "{owner} was gone",
        ),
    ),
    "truth": _brief(
        """
        {when}, {hero} was alone {place.at} with {elder}'s {thing.full}. {He} wanted to {want}, so {he} {did}. {broke}.
        {when}, {he} was {place.at}. {hero} wanted to {want} and {did}. {broke}. It was the {thing.full} of {elder}.
        """,
        "to {want}",
        ("Why was {elder} not happy about {thing.the}?", "{broke}."),
        "{hero} broke {elder}'s {thing.full}",
        happy=(
            """
            {hero} told {elder} the truth, and together they {mend}.
            "It was me. I am sorry," {he} said. Then {hero} and {elder} {mend}.
            """,
            "{he} told the truth, and they {mend}",
        ),
        neutral=(
            """
            {hero} told {elder} the truth. But {thing.the} could not be mended.
            "It was me. I am sorry," {he} said. "It cannot be mended," said {elder}.
            """,
            "it could not be mended",
        ),
    ),
}
"""The briefs by the names of their plots. A plot without a brief has no short stories."""
