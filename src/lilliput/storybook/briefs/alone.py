"""The briefs of the plots in which the hero acts alone or with an elder."""

from __future__ import annotations

from lilliput.storybook.briefs.brief import Brief, brief

ALONE: dict[str, Brief] = {
    "astray": brief(
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
    "bedtime": brief(
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
    "fear": brief(
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
    "lost": brief(
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
    "mystery": brief(
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
    "save": brief(
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
    "seed": brief(
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
    "skill": brief(
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
    "truth": brief(
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
