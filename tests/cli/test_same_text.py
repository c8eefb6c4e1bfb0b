"""The README's and the cards' snippet, `lilliput generate`, the server and llama.cpp write the same greedy text."""

import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from lilliput import api
from lilliput.data.tokenizer import Tokenizer
from lilliput.formats.source import Source
from lilliput.server.serving import load_served
from tests.cli.conftest import Command
from tests.cli.test_readme import README
from tests.formats.test_gguf import running
from tests.server.conftest import serving

pytest.importorskip("transformers")
PROMPTS = ("One day", "Lily saw a", "The old dog. ", "Once upon a time")
TOKENS = 12


def code_of(page: Path) -> str:
    """The page's snippet, with what differs in this test left open."""
    (code,) = re.findall(r"```python\n(from transformers .*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    code, folders = re.subn(r'folder = ".*"', "folder = FOLDER", code)
    code, prompts = re.subn(r'"Once upon a time"', "PROMPT", code)
    code, counts = re.subn(r"max_new_tokens=\d+", f"max_new_tokens={TOKENS}", code)
    assert (folders, prompts, counts) == (1, 1, 1)
    return code


def printed(code: str, folder: Path, prompt: str) -> tuple[str, list[int]]:
    """What the snippet prints, and the ids that it gives the model."""
    names: dict[str, Any] = {"FOLDER": str(folder), "PROMPT": prompt}
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(code, names)
    return out.getvalue().removesuffix("\n"), names["given"]["input_ids"][0].tolist()


@pytest.fixture(params=["trained", "llama_run"])
def run(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


def test_one_greedy_text_everywhere(run: Path, command: Command, tmp_path: Path) -> None:
    model = api.Run(run).checkpoints[-1] / "model"
    tokenizer = Tokenizer.load(model)
    pages = (README, model / "README.md")
    with serving(load_served(run, notify=lambda text: None)) as address, contextlib.ExitStack() as stack:
        name = address.client.models.list().data[0].id
        program = stack.enter_context(running(Source.load(model, "m"), "f32", tmp_path))
        for prompt in PROMPTS:
            words = ("generate", str(run), prompt, "--temperature", "0", "--max-tokens", str(TOKENS), "--json")
            (ours,) = json.loads(command(*words).out)["texts"]
            assert len(ours) > len(prompt)
            ids = [tokenizer.bos_id, *tokenizer.encode(prompt)]
            for page in pages:
                assert printed(code_of(page), model, prompt) == (ours, ids), page
            served = address.client.completions.create(model=name, prompt=prompt, temperature=0, max_tokens=TOKENS)
            assert prompt + served.choices[0].text == ours
            assert served.usage is not None
            assert served.usage.prompt_tokens == len(ids)
            there = program.ask("/completion", prompt=prompt, n_predict=TOKENS, temperature=0)["content"]
            assert prompt + there == ours
            assert program.tokens(prompt) == ids
