"""The phrases that all plots share: first sentences, the weather, feelings, lessons."""

from __future__ import annotations

from lilliput.storybook.grammar import ways

MEET = {
    "": ways("""
        Once upon a time, there was {sort} named {hero}.
        There once was {sort} named {hero}.
        Once there was {sort} whose name was {hero}.
    """),
    "age": ways("""
        Once upon a time, there was {sort} named {hero}. {He} was {detail.text} years old.
        There once was {sort} named {hero}. {He} was {detail.text} years old.
        {hero} was {sort}, and {he} was {detail.text} years old.
        Once there was {sort} of {detail.text} named {hero}.
    """),
    "home": ways("""
        Once upon a time, there was {sort} named {hero}. {He} lived {detail.text}.
        Once upon a time, {sort} named {hero} lived {detail.text}.
        {Home}, there lived {sort} named {hero}.
        {hero} was {sort} who lived {detail.text}.
    """),
    "likes": ways("""
        Once upon a time, there was {sort} named {hero}. {He} [loved|liked] to {detail.text}.
        Once upon a time, there was {sort} named {hero} who [loved|liked] to {detail.text}.
        There once was {sort} named {hero}. {He} [loved|liked] to {detail.text}.
        {hero} was {sort} who [loved|liked] to {detail.text}.
    """),
}
"""First sentences, by the details that are told about the hero. They name the hero and the kind."""

WHEN = ways("""
    One {sky} {time}
    One {sky} {time}
    One {sky} {time} in {season}
    One {sky} {season} {time}
    On {sky.a} {time} in {season}
    On {sky.a} {season} {time}
""")
"""The time of the first event, with the weather in it."""
WHEN_PLAIN = ways("One {time}")
"""The time of the first event, without weather."""
WEATHER_FIRST = ways("""
    It was {sky.a} {time} in {season}.
    It was {sky.a} {season} {time}.
    One {season} {time}, the weather was {sky}.
""")
"""The weather in a sentence of its own."""
WHEN_THEN = ways("""
    That {time}
""")
"""The time of the first event, when the weather has been told."""

FEEL = {
    "happy": ways("""
        {hero} felt [very|so] {feeling}.
        {hero} was {feeling}, [and {he} smiled|and {his} smile was big|and {his} eyes were bright].
        {hero} was so {feeling} that {he}
            [clapped {his} {hands}|jumped up and down|laughed out loud|danced around].
        {hero} had never [felt|been] so {feeling}[ before| in {his} life|].
        [How {feeling} {hero} was!|{hero} felt {feeling} all over.]
        [Now {hero} was {feeling}.|{hero} felt {feeling} at last.|It made {hero} feel {feeling}.]
    """),
    "neutral": ways("""
        {hero} felt {feeling}.
        In the end, {hero} was {feeling}.
        {hero} took a deep breath and felt {feeling}.
        {hero} [thought about it|sat for a while] and felt {feeling}.
        When the day was over, {hero} was {feeling}.
    """),
    "sad": ways("""
        {hero} felt {feeling}.
        {hero} was {feeling} for [a while|the rest of the day|a long time].
        {hero} was {feeling}, and [a tear|one small tear] ran down {his} cheek.
        {hero} felt {feeling}, and {elder} [held {him} close|gave {him} a long hug|sat with {him}].
    """),
}
FEEL_QUIETLY = ways("""
    {hero} felt {feeling}.
    {hero} felt {feeling} [at last|all over|from head to toe].
    {hero} was {feeling} and [yawned|smiled|sighed].
    How {feeling} {hero} was!
    {hero} had never [felt|been] so {feeling}[ before| in {his} life|].
""")
"""A happy end in bed."""
LEARNT = ways("""
    {hero} learned that {lesson}.
    That day, {hero} learned that {lesson}.
    {hero} [knew now|understood] that {lesson}.
    {hero} never forgot that {lesson}.
    {hero} always remembered that {lesson}.
    From [that day on|then on], {hero} [knew|remembered] that {lesson}.
    "Now I know that {lesson}," said {hero}.
""")
TOLD_AT_HOME = ways("""
    [That night|At bedtime|Later|Back home], {hero} told {elder}
        [all about it|the whole story|what had happened]. "{Lesson}," said {elder}.
    [That night|At bedtime|Later|Back home], {elder} [heard|listened to] the whole story.
        "[You see|So now you know], {lesson}," said {elder}.
""")
"""The lesson, when the elder was not there and first hears about the event."""
SAID_BY_ELDER = ways("""
    "{Lesson}," said {elder}[ with a smile|| softly].
    "[You see|Remember|Look], {lesson}," said {elder}.
    {elder} [nodded|gave {him} a hug|took {his} {hand}] and said, "{Lesson}."
""")
"""The lesson, when the elder was there."""
