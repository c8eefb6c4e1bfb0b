"""Labelling: the model, the prompts and the labels file of one command, and the session over them."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from lilliput.base.config import validate
from lilliput.base.console import print_line
from lilliput.base.errors import ConfigError, nearest
from lilliput.base.files import sha256
from lilliput.lab.labelling import figures, keys, terminal
from lilliput.lab.labelling.prompts import STORY, read_prompts
from lilliput.lab.labelling.record import MOST, Mode, Prompt
from lilliput.lab.labelling.sampling import Ahead, Sampler
from lilliput.lab.labelling.session import Session, Task
from lilliput.lab.labelling.store import Store, read

if TYPE_CHECKING:
    from lilliput.generation.text_generator import TextGenerator

LABELS = Path("labels")
FEWEST: dict[Mode, int] = {"rank": 2, "rate": 1, "demonstrate": 1}
LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class LabelOptions:
    """The options of `label`.

    mode         demonstrate: write completions; rank: order `samples` replies (2 to 4; default 2) of a prompt; rate:
                 say good or bad of single replies (`samples` of each prompt; default 1)
    prompts      as in read_prompts, `limit` at most
    temperature, max_tokens, seed  of the replies, which are the same for the same seed
    chat         whether prompts are messages; None: where the model has a chat template, except of the story's openings
    labeller     the person's name; None: the login name
    labels       the labels file; None: labels/<model>.jsonl. Answers are added to it, and those that it holds already
                 are not asked for again
    hourly_wage  for the cost, in any currency
    page, port   on a page for a browser on this machine in place of the terminal; port 0 takes any free port
    device       auto, cpu, cuda or mps
    """

    mode: Mode = "rank"
    prompts: str | Path = STORY
    limit: int | None = None
    samples: int | None = None
    temperature: float = 0.8
    max_tokens: int = 200
    seed: int = 0
    chat: bool | None = None
    labeller: str | None = None
    labels: str | Path | None = None
    hourly_wage: float | None = None
    page: bool = False
    port: int = 0
    device: str = "auto"


def label(
    model: str | Path, options: LabelOptions = LabelOptions(), *, notify: Callable[[str], None] = print_line
) -> dict[str, Any]:
    """Have a person label replies of the model at `model`, and return the figures of the labels file.

    Raises ConfigError for options that do not fit, DataError for files that cannot be read, MissingExtra for a page
    without the `serve` extra, and as `load` does."""
    with opened(model, options, notify) as session:
        if session.left:
            _run(session, options, notify)
        else:
            notify("every prompt is answered")
        records = read(session.store.path, lambda text: None)
        return {"labels": str(session.store.path), **figures.figures(records, options.hourly_wage)}


def _run(session: Session, options: LabelOptions, notify: Callable[[str], None]) -> None:
    if options.page:
        from lilliput.lab.labelling.web import serve

        serve(session, options.port, notify)
        return
    with suppress(KeyboardInterrupt), keys.terminal() as keyboard:
        terminal.run(session, keyboard)


@contextmanager
def opened(model: str | Path, options: LabelOptions, notify: Callable[[str], None] = print_line) -> Iterator[Session]:
    """The session of `label`, whose replies are generated in the background while the block runs."""
    mode, seed = options.mode, options.seed
    count = _samples(mode, options.samples, options.temperature)
    who = _labeller(options.labeller, notify)
    from lilliput.decoding.sampling import SamplingConfig
    from lilliput.generation.loading import load
    from lilliput.runs.finding import model_folder, model_name

    sampling: dict[str, float | int] = {"temperature": options.temperature, "max_tokens": options.max_tokens}
    validate(SamplingConfig, {**sampling, "seed": seed}, "sampling")
    folder = model_folder(model, notify)
    name = model_name(model, folder)
    path = LABELS / f"{name.replace('/', '-')}.jsonl" if options.labels is None else Path(options.labels)
    generator = load(folder, options.device, notify)
    chats = _chats(generator, options.chat, options.prompts)
    task = Task(mode, who, count, name, seed, sampling)
    items = task.items(read_prompts(options.prompts, chats, options.limit))
    ahead = None
    if mode != "demonstrate":
        digest = _digest(folder)
        known = _known(path, name, digest, notify)
        wanted = [item.prompt for item in items if item.key not in known]
        ahead = Ahead(Sampler(generator, name, digest, count, seed, sampling), _unique(wanted))
    try:
        yield Session(task, items, Store(path), ahead, notify)
    finally:
        if ahead is not None:
            ahead.close()


def _samples(mode: Mode, samples: int | None, temperature: float) -> int:
    if mode not in get_args(Mode):
        raise ConfigError(f"there is no mode '{mode}'{nearest(mode, get_args(Mode))}", f"modes: {', '.join(FEWEST)}")
    if mode == "demonstrate" and samples is not None:
        raise ConfigError("no replies are generated for demonstrations", "leave --samples out")
    count = FEWEST[mode] if samples is None else samples
    if not FEWEST[mode] <= count <= MOST:
        raise ConfigError(f"mode '{mode}' shows {FEWEST[mode]} to {MOST} samples of a prompt, not {count}")
    if count > 1 and temperature == 0:
        raise ConfigError(f"at temperature 0 the {count} samples are all the same", "give --temperature 0.8")
    return count


def _labeller(name: str | None, notify: Callable[[str], None]) -> str:
    """The labeller's name, else the login name, else a name that the person at the terminal types. Raises ConfigError
    where none is known, and for an unusable name."""
    if name is None:
        try:
            name = getpass.getuser()
        except (OSError, KeyError, ImportError):
            if not sys.stdin.isatty():
                raise ConfigError("the login name is not known here", "give a name: --labeller NAME") from None
            notify("your name, which is stored with each answer:")
            name = input().strip()
    if not (name.strip() == name and name.isprintable() and 0 < len(name) <= LONGEST_NAME):
        raise ConfigError(f"{name!r} is no labeller's name", f"1 to {LONGEST_NAME} printable characters")
    return name


def _chats(generator: TextGenerator, chat: bool | None, prompts: str | Path) -> bool:
    """Whether prompts are messages. Raises ConfigError for a model that cannot take them so."""
    if not generator.objective.generates:
        raise generator.objective.no_text()
    if not generator.objective.reads_forwards:
        raise ConfigError(
            "this model reads backwards: it cannot go on from a prompt", "label a model that reads forwards"
        )
    has = generator.chat_template is not None
    if chat and not has:
        raise ConfigError("this model was not trained to chat: its folder holds no chat template", "leave --chat out")
    return chat if chat is not None else has and str(prompts) != STORY


def _digest(folder: Path) -> str | None:
    """The SHA-256 of the weights; None where they lie in several files or none."""
    files = sorted(folder.glob("*.safetensors"))
    return sha256(files[0]) if len(files) == 1 else None


def _known(path: Path, name: str, digest: str | None, notify: Callable[[str], None]) -> set[str]:
    """The items whose replies the labels file holds. A line is printed where other weights of the model gave them."""
    records = [record for record in read(path, lambda text: None) if record.candidates]
    theirs = {candidate.sha256 for record in records for candidate in record.candidates if candidate.model == name}
    if theirs - {digest}:
        notify(f"{path} holds replies of '{name}' from before it trained on; new replies are from today's weights")
    return {record.item for record in records}


def _unique(prompts: list[Prompt]) -> list[Prompt]:
    return list({repr(prompt): prompt for prompt in prompts}.values())
