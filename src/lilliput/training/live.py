"""The terminal view of a run: bar, speed, bits per byte, a small loss curve, a fresh sample; elsewhere plain lines."""

from __future__ import annotations

import json
import math
from time import monotonic, perf_counter
from types import TracebackType
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from lilliput.base import console as output
from lilliput.objectives.figure import BITS, Figure
from lilliput.training.braille import STYLES, Canvas, Curve

(TRAIN, VALIDATION), QUIET = STYLES, "dim"
CURVE_ROWS, SAMPLE_ROWS, BAND_ROWS = 6, 6, 2
REFRESH_SECONDS, REFRESH_SHARE, LINE_SECONDS = 0.25, 0.01, 10.0


class LiveView:
    """Shows one run while it trains. Call `update` after every step: it draws at most four times a second, and less
    often where drawing would take over a hundredth of the time.

    Without a terminal it prints a line of key=value pairs at the first update, every `line_seconds`, whenever there is
    a new validation figure, and at the end."""

    def __init__(
        self,
        total_steps: int | None,
        description: str,
        console: Console | None = None,
        *,
        line_seconds: float = LINE_SECONDS,
        figure: Figure = BITS,
    ):
        self.figure = figure
        self.total_steps, self.description = total_steps, description
        self.console = console or output.console
        self.line_seconds = line_seconds
        self.numbers: dict[str, Any] = {}
        self.train_curve, self.val_curve = Curve(), Curve()
        self.prompt, self.text = "", ""
        self.usual = ""
        self._drawn, self._interval = -math.inf, REFRESH_SECONDS
        self._printed_step: int | None = None
        self._validated: float | None = None
        terminal = self.console.is_terminal and not self.console.is_dumb_terminal
        self._live = Live(console=self.console, auto_refresh=False, transient=False) if terminal else None
        if self._live:
            self._live.start()

    def update(
        self,
        step: int,
        fraction: float,
        tokens: int,
        seconds: float,
        eta: float | None = None,
        tokens_per_second: float | None = None,
        train_bpb: float | None = None,
        val_bpb: float | None = None,
        learning_rate: float | None = None,
        loss: float | None = None,
    ) -> None:
        """Numbers after a step: `fraction` of the run done (0 to 1), seconds since its start, `eta` seconds to its end,
        bits per byte, `loss` in nats a token. A number that is None keeps its last value."""
        given = {key: value for key, value in locals().items() if key not in ("self", "given") and value is not None}
        fresh_validation = val_bpb is not None and val_bpb != self._validated
        self._validated = self._validated if val_bpb is None else val_bpb
        self.numbers |= given
        self.train_curve.add(fraction, train_bpb)
        self.val_curve.add(fraction, val_bpb if fresh_validation else None)
        now = monotonic()
        if self._live:
            if now - self._drawn >= self._interval:
                self._draw()
        elif fresh_validation or now - self._drawn >= self.line_seconds:
            self._line()

    def remember(self, fraction: float, train_bpb: float | None, val_bpb: float | None) -> None:
        """A point of the curves from before this process: bits per byte at `fraction` of the run. Nothing is drawn."""
        self.train_curve.add(fraction, train_bpb)
        self.val_curve.add(fraction, val_bpb)
        self._validated = self._validated if val_bpb is None else val_bpb

    def sample(self, prompt: str, text: str) -> None:
        """Show a new sample: `text` was generated after `prompt`."""
        self.prompt, self.text = prompt, text
        if self._live:
            self._draw()
        else:
            self._say(f"sample step={self.numbers.get('step', 0)} prompt={_quoted(prompt)} text={_quoted(text)}")

    def band(self, text: str) -> None:
        """Show how the losses of the last evaluation lie beside other runs."""
        self.usual = text
        if self._live:
            self._draw()
        else:
            self._say(f"band step={self.numbers.get('step', 0)} text={_quoted(text)}")

    def note(self, text: str) -> None:
        """Print a line that stays, on a terminal above the view."""
        self._say(text)

    def close(self) -> None:
        """Draw the last state and leave the terminal as it was. May be called twice."""
        if self._live:
            self._draw()
            self._live.stop()
            self._live = None
        elif self.numbers and self._printed_step != self.numbers["step"]:
            self._line()

    def __enter__(self) -> LiveView:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _say(self, text: str) -> None:
        shown = output.printable(text, self.console.encoding)
        self.console.print(shown, markup=False, highlight=False, emoji=False, soft_wrap=True)

    # ------------------------------------------------------------------ without a terminal

    def _line(self) -> None:
        self._drawn, self._printed_step = monotonic(), self.numbers["step"]
        own = {} if self.figure == BITS else {"train_bpb": self.figure.training, "val_bpb": self.figure.validation}
        shown = (f"{own.get(key, key)}={_short(self.numbers[key])}" for key in LINE_KEYS if key in self.numbers)
        self._say(" ".join(shown))

    # ------------------------------------------------------------------ on a terminal

    def _draw(self) -> None:
        assert self._live is not None
        began = perf_counter()
        self._live.update(self.render(), refresh=True)
        self._interval = max(REFRESH_SECONDS, (perf_counter() - began) / REFRESH_SHARE)
        self._drawn = monotonic()

    def render(self) -> RenderableType:
        """Return the present view."""
        width = min(self.console.width, 100)
        parts: list[RenderableType] = [self._bar(width), self._figures()]
        room = self.console.height - 4
        if self.usual and room >= BAND_ROWS:
            usual = list(Text(self.usual, QUIET).wrap(self.console, width))[:BAND_ROWS]
            parts += usual
            room -= len(usual)
        if self.train_curve.sums and room >= CURVE_ROWS + 2:
            parts += [Text(), *self._curve(width)]
            room -= CURVE_ROWS + 2
        if self.text and room >= SAMPLE_ROWS + 1:
            parts += [Text(), *self._sample(width)]
        return Group(*parts)

    def _bar(self, width: int) -> Text:
        fraction = min(max(self.numbers.get("fraction", 0.0), 0.0), 1.0)
        eta = self.numbers.get("eta")
        steps = f" of {self.total_steps:,}" if self.total_steps else ""
        right = f" {fraction:4.0%}  step {self.numbers.get('step', 0):,}{steps}"
        right += f"  {output.duration(eta)} left" if eta is not None and math.isfinite(eta) and fraction < 1 else ""
        cells = max(width - len(self.description) - len(right) - 1, 8)
        done = round(cells * fraction)
        full, empty = ("=", "-") if self._ascii else ("━", "─")
        return Text.assemble(
            (self.description + " ", "bold"), (full * done, TRAIN), (empty * (cells - done), QUIET), right,
            no_wrap=True, overflow="crop",
        )  # fmt: skip

    def _figures(self) -> Text:
        line = Text(no_wrap=True, overflow="crop")
        for label, key, style, show in FIGURES:
            if (value := self.numbers.get(key)) is not None:
                line.append("   " if line else "").append(f"{label} ", QUIET).append(show(value), style)
                if key == "val_bpb":
                    line.append(" bits/byte" if self.figure == BITS else f" {self.figure.unit}", style)
        return line

    @property
    def _ascii(self) -> bool:
        return not self.console.encoding.lower().startswith("utf")

    def _curve(self, width: int) -> list[Text]:
        """Return the loss curve: braille dots for training and validation, with the highest and the lowest value beside
        them."""
        top = max(self.train_curve.high, self.val_curve.high)
        low = min(self.train_curve.low, self.val_curve.low)
        columns = width - 7
        canvas = Canvas(columns, CURVE_ROWS, low, top)
        canvas.draw(self.train_curve, 0)
        canvas.draw(self.val_curve, 1)
        labels = {0: f"{top:5.2f} ", CURVE_ROWS - 1: f"{low:5.2f} "}
        axis = "|" if self._ascii else "│"
        return [
            Text(labels.get(row, " " * 6) + axis, QUIET, no_wrap=True).append(canvas.row(row, self._ascii))
            for row in range(CURVE_ROWS)
        ]

    def _sample(self, width: int) -> list[Text]:
        """The fresh sample, wrapped to at most six lines."""
        prompt, text_shown = (output.printable(text, self.console.encoding) for text in (self.prompt, self.text))
        text = Text.assemble((" ".join(prompt.split()), "bold"), _joined(text_shown), style="italic")
        lines = list(text.wrap(self.console, width - 2))
        shown = lines[:SAMPLE_ROWS]
        if len(lines) > SAMPLE_ROWS:
            shown[-1].rstrip()
            shown[-1].append("..." if self._ascii else " …", QUIET)
        return [Text("  ").append_text(line) for line in shown]


def _joined(text: str) -> str:
    """One paragraph, its leading space kept."""
    return (" " if text[:1].isspace() else "") + " ".join(text.split())


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _short(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"


LINE_KEYS = (
    "step", "fraction", "tokens", "seconds", "eta", "tokens_per_second",
    "loss", "train_bpb", "val_bpb", "learning_rate",
)  # fmt: skip
FIGURES = (
    ("train", "train_bpb", TRAIN, lambda value: f"{value:.3f}"),
    ("validation", "val_bpb", VALIDATION, lambda value: f"{value:.3f}"),
    ("tokens", "tokens", "", output.number),
    ("speed", "tokens_per_second", "", lambda value: f"{output.number(value)}/s"),
    ("rate", "learning_rate", "", lambda value: f"{value:.2g}"),
)
