"""The README's commands, in its order and in one folder: each does what the page says, on runs of a second."""

import glob
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from lilliput.storybook import story
from tests.cli.conftest import TINY, Command
from tests.evaluation.benchmarks.examples import examples
from tests.evaluation.benchmarks.test_tasks import write

README = Path(__file__).resolve().parents[2] / "README.md"
ELSEWHERE = {
    "lilliput train story --data TinyStories": "needs the network (tests/data/test_hub.py)",
    "lilliput serve story story-reversed": "does not end (tests/server)",
    "lilliput chat chat": "waits for a person (tests/cli/test_chat.py)",
}
"""Commands that this test leaves out, each with the reason."""
SMALLER = {"train": TINY, "plan": ("model.style=story_1m", "train.batch_tokens=512")}

ROOM = ("model.context_length=800", "data.sources.0.count=40", "evaluate.tokens=100", "evaluate.final_tokens=100")
WORLD = ("model.d_model=16", "model.n_layers=1", "model.n_heads=2", "model.d_mlp=16", "train.compile=false")
WORLD += (
    "train.epochs=null",
    "train.steps=2",
    "train.batch_tokens=2048",
    "evaluate.tokens=2000",
    "evaluate.final_tokens=2000",
)
TAUGHT = {
    "lilliput train chat --from story": (*ROOM, "data.sources.1.count=20"),
    "lilliput train dpo --from chat": ROOM,
    "lilliput train grpo --from chat": (
        *ROOM, "train.steps=2", "objective.num_generations=2", "objective.max_completion_length=8",
    ),
    "lilliput tables train payments.csv --entity user_id --time time": WORLD,
    "lilliput personas train": (*WORLD, "model.context_length=2048", "--people", "40"),
    "lilliput extract train": (*TINY, "model.context_length=800", "--count", "40"),
}  # fmt: skip
"""Further overrides of commands that teach the story world's own tasks, whose rows are longer than TINY's,
and of models of people and of tables."""


def commands() -> list[str]:
    """The indented commands and those that a run prints as next, without their comments."""
    lines = re.findall(r"^(?:    |  )(lilliput .+)$", README.read_text(), flags=re.MULTILINE)
    return [re.split(r"\s{2,}#", line)[0].strip() for line in lines]


def words(line: str) -> list[str]:
    """As a shell would hand them over; training is made small."""
    spelt = [found for word in shlex.split(line)[1:] for found in (sorted(glob.glob(word)) or [word])]
    return [*spelt, *SMALLER.get(spelt[0], ()), *TAUGHT.get(line, ())]


def own_rows() -> None:
    """A person's own conversations, preferences and labelled texts."""
    names = [f"{name} {thing}" for name in ("Tom", "Lily", "Ned", "Ann") for thing in ("ran", "sat", "ate", "fell")]
    asked = [{"role": "user", "content": "Who?"}]
    replies = [[{"role": "assistant", "content": f"{name}."}] for name in names]
    write_lines("conversations.jsonl", [{"messages": [*asked, *reply]} for reply in replies])
    pairs = zip(replies, reversed(replies), strict=True)
    write_lines("pairs.jsonl", [{"prompt": asked, "chosen": good, "rejected": bad} for good, bad in pairs])
    kinds = ("negative", "positive")
    write_lines("reviews.jsonl", [{"text": name, "label": kinds[place % 2]} for place, name in enumerate(names)])


def write_lines(name: str, rows: list[dict[str, Any]]) -> None:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_what_is_left_out_is_still_there() -> None:
    assert set(ELSEWHERE) <= set(commands())
    assert len(commands()) > 15


def test_the_commands_of_the_readme(command: Command) -> None:
    pytest.importorskip("gguf")
    folder = Path.cwd()
    (folder / "my").mkdir()
    for number, name in enumerate(("my/a.txt", "my/b.txt", "YOUR_FILES")):
        Path(name).write_text("\n<|endoftext|>\n".join(story(number, each).text for each in range(200)))
    own_rows()
    for task in ("arc_easy", "piqa"):
        write(folder / "FOLDER", f"{task}.jsonl", examples(task, 12))
    # What `make story` leaves; with room for the prompt that a run prints as next, which is a long one.
    assert command("train", "story", "--data", "my", "--name", "story", *TINY, "model.context_length=96").code == 0
    for line in commands():
        if line in ELSEWHERE:
            continue
        if line.startswith("lilliput import"):  # a file that llama2.c publishes; here the one that was just exported
            Path("small.bin").rename("stories260K.bin")
            Path("small-tokenizer.bin").rename("tok512.bin")
        result = command(*words(line))
        assert result.code == 0, f"{line}\n{result.err}"
        if "--ending" in line:
            assert result.out.rstrip().endswith("in the sky.")
    assert Path("story.gguf").is_file()
    assert (folder / "runs" / "story-5m" / "summary.json").is_file()
