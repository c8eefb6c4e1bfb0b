"""run_picture: a run as one SVG for a README: the loss curve, its baselines, and samples from the run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lilliput.base.chart import STYLE, Chart, Level, Mark, Series
from lilliput.base.console import duration, number
from lilliput.base.errors import CheckpointError
from lilliput.base.files import write_text
from lilliput.base.html import escape
from lilliput.objectives.figure import BITS
from lilliput.runs.names import VAL_HERO_KEPT
from lilliput.runs.record import RunRecord, spread
from lilliput.runs.samples_file import Sample, Section

WIDTH, MARGIN, GAP = 900, 28, 18
HEAD, CHART, KEPT = 78, 330, 120
CALLOUTS, LINES, LINE_HEIGHT = 4, 8, 18.5
FACTS_LENGTH = 110
PAPER = """
.paper { fill: #fffdf8; stroke: #e5e0d4; }
.name, .sample { font-family: Georgia, "Iowan Old Style", "Times New Roman", serif; fill: #23211c; }
.name { font-size: 23px; font-weight: 700; }
.sample { font-size: 14px; }
.sample .prompt { font-weight: 700; }
.facts, .when, .digit { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #6e6a60; }
.when { font-size: 12px; font-weight: 600; fill: #0f766e; }
.number { fill: #0f766e; }
.digit { font-size: 11px; font-weight: 700; fill: #fffdf8; }
"""


def run_picture(run: Path, path: Path) -> Path:
    """Write the picture of `run` to `path` (SVG, 900 px wide, on its own background, so that it can be read on light
    and dark pages) and return it. Raises CheckpointError where the run has no validation figures yet."""
    record = RunRecord.read(run)
    if not record.points("seconds", record.figure.validation):
        raise CheckpointError(f"{run} has no validation figures yet: there is no curve to draw")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, picture(record))
    return path


def picture(record: RunRecord) -> str:
    """The SVG's text."""
    callouts = _callouts(record)
    kept = kept_chart(record, "seconds", WIDTH - 2 * MARGIN, KEPT)
    below = HEAD + CHART + (KEPT if kept else 0)
    columns = [_callout(callout, len(callouts), below + 18) for callout in callouts]
    deepest = max((bottom for _, bottom in columns), default=below)
    height = round(deepest + MARGIN)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            f'role="img" aria-label="{escape(_alternative(record))}">',
            f"<style>{STYLE}{PAPER}</style>",
            f'<rect class="paper" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="14"/>',
            f'<text class="name" x="{MARGIN}" y="40">{escape(record.name)}</text>',
            f'<text class="facts" x="{MARGIN}" y="61">{escape(_facts(record))}</text>',
            *_placed(_chart(record, callouts), HEAD),
            *([] if kept is None else _placed(kept, HEAD + CHART)),
            *(column for column, _ in columns),
            "</svg>",
            "",
        ]
    )


@dataclass(frozen=True, slots=True)
class Callout:
    """A sample's text and its place on the curve; `index` counts from 0."""

    index: int
    section: Section
    sample: Sample
    score: float


def _callouts(record: RunRecord) -> list[Callout]:
    """The first prompt's samples, spread over the run."""
    scored = [(section, record.validation_at(section.step)) for section in record.samples if section.samples]
    scores = {section.step: score for section, score in scored if score is not None}
    chosen = spread([section for section, score in scored if score is not None], CALLOUTS)
    return [Callout(i, section, section.samples[0], scores[section.step]) for i, section in enumerate(chosen)]


def _facts(record: RunRecord) -> str:
    parameters, tokens, seconds = (record.number(key) for key in ("parameters", "tokens", "seconds"))
    facts = (
        parameters and f"{number(parameters)} parameters",
        tokens and f"{number(tokens)} tokens",
        seconds and f"{duration(seconds)} on {record.summary.get('device', 'this machine')}",
    )
    text = " · ".join(str(fact) for fact in facts if fact)
    return text if len(text) <= FACTS_LENGTH else text[: FACTS_LENGTH - 1] + "…"


def _alternative(record: RunRecord) -> str:
    """Describe the picture for people who cannot see it."""
    points, unit = record.points("seconds", record.figure.validation), record.figure.label
    return f"Validation {unit} of the run {record.name} fall from {points[0][1]:.2f} to {points[-1][1]:.2f}"


def _placed(chart: Chart, top: int) -> list[str]:
    """A chart of the picture's width at pixel row `top`."""
    place = f'x="{MARGIN}" y="{top}" width="{WIDTH - 2 * MARGIN}" height="{chart.height}"'
    return [f"<svg {place}>", chart.svg(), "</svg>"]


def _chart(record: RunRecord, callouts: list[Callout]) -> Chart:
    marks = [
        Mark(callout.section.seconds, callout.score, str(callout.index + 1), callout.sample.text)
        for callout in callouts
    ]
    return Chart(
        title="Bits per byte through time (dashed: n-gram models counted on the same text)"
        if record.figure == BITS
        else f"{record.figure.unit.capitalize()} through time",
        series=[
            Series("training", record.points("seconds", record.figure.training), colour=1, thin=True),
            Series("validation", record.points("seconds", record.figure.validation), colour=0),
        ],
        levels=[Level(name, value) for name, value in record.baselines()],
        marks=marks,
        time_x=True,
        reach=reach(record, "seconds"),
        width=WIDTH - 2 * MARGIN,
        height=CHART,
    )


def kept_chart(record: RunRecord, x: str, width: int, height: int) -> Chart | None:
    """Draw the share of stories that keep their hero, under the loss curve and on the same axis, to show the moment at
    which a copying head has formed. None for a run without this measurement."""
    points = record.points(x, VAL_HERO_KEPT)
    if not points:
        return None
    return Chart(
        title="Stories that keep their hero",
        series=[
            Series(
                "", [(points[0][0], share) for share in (0.0, 1.0)], line=False
            ),  # the whole axis from 0 to 1, for any values
            Series("kept", points, colour=2, dots=True),
        ],
        time_x=x == "seconds",
        width=width,
        height=height,
        y_text=lambda share: f"{share:.0%}",
        reach=reach(record, x),
        inset=bool(_callouts(record)),
    )


def reach(record: RunRecord, x: str) -> tuple[float, ...]:
    """The first and the last x of all curves of a run, for charts that share an axis."""
    drawn = (record.figure.training, record.figure.validation, VAL_HERO_KEPT)
    ends = [point[0] for name in drawn for point in record.points(x, name)]
    ends += [callout.section.seconds if x == "seconds" else callout.section.tokens for callout in _callouts(record)]
    return (min(ends), max(ends)) if ends else ()


def _callout(callout: Callout, count: int, top: float) -> tuple[str, float]:
    """A numbered column of text below the curve, and the pixel row where it ends."""
    width = (WIDTH - 2 * MARGIN - GAP * (count - 1)) / count
    x = MARGIN + callout.index * (width + GAP)
    when = f"{duration(callout.section.seconds)} · {callout.score:.2f} bits/byte"
    lines = _wrapped(callout.sample, width)
    rows = [top + 34 + LINE_HEIGHT * i for i in range(len(lines))]
    spans = "".join(f'<tspan x="{x:.1f}" y="{y:.1f}">{line}</tspan>' for line, y in zip(lines, rows, strict=True))
    column = (
        f'<circle class="number" cx="{x + 10:.1f}" cy="{top:.1f}" r="10"/>'
        f'<text class="digit" x="{x + 10:.1f}" y="{top + 4:.1f}" text-anchor="middle">{callout.index + 1}</text>'
        f'<text class="when" x="{x + 27:.1f}" y="{top + 4:.1f}">{escape(when)}</text>'
        f'<text class="sample">{spans}</text>'
    )
    return column, rows[-1] if rows else top


def _wrapped(sample: Sample, width: float) -> list[str]:
    """At most LINES lines of markup that fit `width`; the prompt is bold, and text that goes on ends in '…'."""
    words = [(word, bold) for text, bold in _parts(sample) for word in text.split()]
    lines: list[list[tuple[str, bool]]] = [[]]
    used = 0.0
    for word, bold in words:
        for piece in _pieces(word, width):
            needed = _width(piece, bold) + _width(" ", False)
            if lines[-1] and used + needed > width:
                lines.append([])
                used = 0.0
            lines[-1].append((piece, bold))
            used += needed
    if len(lines) > LINES:
        lines = lines[:LINES]
        lines[-1][-1] = (lines[-1][-1][0].rstrip(".,;:") + " …", lines[-1][-1][1])
    return [" ".join(_span(word, bold) for word, bold in line) for line in lines if line]


def _parts(sample: Sample) -> list[tuple[str, bool]]:
    """The sample as (text, bold) parts; a comma that follows the prompt stays with it."""
    prompt, text = sample.prompt, sample.text
    if text and not text[0].isspace():
        head, gap, tail = text.partition(" ")
        prompt, text = prompt + head, gap + tail
    return [(sample.before, False), (prompt, True), (text, False)]


def _pieces(word: str, width: float) -> list[str]:
    """Return the parts of a word that is too long for a line."""
    limit = max(int(width / 9), 1)
    return [word[i : i + limit] for i in range(0, len(word), limit)]


def _width(text: str, bold: bool) -> float:
    """Pixels of 14 px serif text, rather too many than too few, because fonts differ between readers."""
    narrow, wide = sum(c in " .,;:!'|ijlft()" for c in text), sum(c in "mwMWQOGDHN@%" or ord(c) > 0x2E80 for c in text)
    return (4.3 * narrow + 12.2 * wide + 7.5 * (len(text) - narrow - wide)) * (1.1 if bold else 1.0)


def _span(word: str, bold: bool) -> str:
    return f'<tspan class="prompt">{escape(word)}</tspan>' if bold else escape(word)
