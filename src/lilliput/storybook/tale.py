"""Tale: the telling of one sketch, sentence by sentence and paragraph by paragraph."""

from __future__ import annotations

from lilliput.storybook import phrases
from lilliput.storybook.grammar import Ways, article, capital
from lilliput.storybook.plot import Length, Sketch

ONE_PARAGRAPH = 0.08
"""Share of stories that are told in one paragraph."""


class Tale:
    """The text of a sketch while it is told. Every choice of words is drawn from the sketch's random numbers."""

    __slots__ = ("_paragraphs", "_random", "_sentences", "case", "ending", "length", "slots")

    def __init__(self, sketch: Sketch):
        self.slots = sketch.slots
        self.case = sketch.case
        self.ending = sketch.ending
        self.length = sketch.length
        self._random = sketch.random.random
        self._sentences: list[str] = []
        self._paragraphs: list[str] = []

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return self._random() < probability

    def phrase(self, ways: Ways) -> str:
        """Draw one of the ways to phrase something, and fill in its slots."""
        place = self._random() * len(ways)
        way = ways[int(place)]
        return way[int((place % 1) * len(way))].format_map(self.slots)

    def say(self, *things: Ways) -> None:
        """Add a sentence for each thing, in order, in one of its ways."""
        self._sentences += [self.phrase(ways) for ways in things]

    def unless_short(self, *things: Ways) -> None:
        """Add all sentences, or none in a short story."""
        if self.length is not Length.SHORT:
            self.say(*things)

    def more(self, *things: Ways, chance: float = 1.0) -> None:
        """Add all sentences in a long story, or by chance none."""
        if self.length is Length.LONG and self._random() < chance:
            self.say(*things)

    def paragraph(self) -> None:
        """Begin a new paragraph, unless the present paragraph is still empty."""
        if self._sentences:
            self._paragraphs.append(" ".join(self._sentences))
            self._sentences = []

    def open(self) -> None:
        """Add the sentences that introduce the hero."""
        slots = self.slots
        detail = slots["detail"]
        slots["sort"] = f"{article(slots['nature'])} {slots['nature']} {slots['hero'].kind}"
        slots["Home"] = capital(detail.text)
        self.say(phrases.MEET[detail.kind])

    def scene(self) -> None:
        """Add the time and the weather, perhaps as sentences of their own. Fills the slot `when`, with which the next
        sentence begins."""
        slots = self.slots
        weather = slots["weather"]
        if self.chance(0.3):
            self.paragraph()
        when = phrases.WHEN_PLAIN
        if weather is not None:
            slots["sky"], slots["season"] = weather.sky, weather.season
            when = phrases.WHEN
            if self.chance(0.35):
                self.say(phrases.WEATHER_FIRST)
                self.more(weather.signs, chance=0.7)
                when = phrases.WHEN_THEN
        slots["when"] = self.phrase(when)

    def close(self, after: Ways, elder_knows: bool = False, feel: Ways = ()) -> None:
        """Add the feeling, the lesson, and perhaps the events `after`. `elder_knows` is true where the elder saw the
        events. `feel` replaces the ending's words for the feeling."""
        if len(self._paragraphs) < 4 and self.chance(0.4):
            self.paragraph()
        feel = feel or phrases.FEEL[self.ending]
        lesson = phrases.LEARNT
        if self.chance(0.3):
            lesson = phrases.SAID_BY_ELDER if elder_knows else phrases.TOLD_AT_HOME
        shape = self._random()
        if self.length is not Length.LONG:
            shape = 0.0 if shape < 0.5 else 1.0
        if shape < 0.3:
            self.say(feel, lesson)
        elif shape < 0.65:
            self.say(feel, after, lesson)
        elif shape < 0.85 and lesson is not phrases.TOLD_AT_HOME:
            self.say(feel, lesson, after)
        else:
            self.say(lesson, feel)

    def text(self) -> str:
        """Return the whole tale."""
        self.paragraph()
        return (" " if self.chance(ONE_PARAGRAPH) else "\n\n").join(self._paragraphs)
