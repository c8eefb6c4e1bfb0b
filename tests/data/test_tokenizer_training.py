"""Training tokenizers on lines without breaks, with progress, hearing Ctrl-C."""

import random
import signal
import subprocess
import sys
import time

import pytest

from lilliput.base.background import in_background
from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer
from lilliput.data.tokenizer_training import LONGEST_RUN, without_long_runs


def emoji(count: int) -> str:
    rng = random.Random(count)
    return "".join(chr(0x1F300 + rng.randrange(700)) for _ in range(count))


@pytest.mark.parametrize(
    "text", ["Once upon a time. " * 200, "今天天气很好，我们去公园玩。" * 300, "นี่คือ" * 100, "line\n\n" * 500, ""]
)
def test_text_of_words_is_one_part(text: str) -> None:
    assert list(without_long_runs(text)) == [text]


@pytest.mark.parametrize("text", ["a" * 5000, emoji(5000), " " * 5000, "ก็" * 5000, "x " + "-" * 999 + "\n" * 999])
def test_long_runs_are_cut_and_nothing_is_lost(text: str) -> None:
    parts = list(without_long_runs(text))
    assert "".join(parts) == text
    assert max(map(len, parts)) <= 4 * LONGEST_RUN + 2


@pytest.mark.parametrize("kind", ["bpe", "sentencepiece"])
def test_the_time_grows_with_the_length_of_a_line(kind: str) -> None:
    config = TokenizerConfig.model_validate({"kind": kind, "vocab_size": 1000})

    def seconds(count: int) -> float:
        began = time.process_time()
        Tokenizer.train([emoji(count)], config)
        return time.process_time() - began

    seconds(1000)
    assert seconds(80_000) < 8 * max(seconds(20_000), 0.2)  # 16 times, and minutes, where it grows with the square


def test_what_fails_in_the_background_fails_here() -> None:
    def fail() -> None:
        raise ZeroDivisionError("so")

    with pytest.raises(ZeroDivisionError, match="so"):
        in_background(fail, "failing")
    assert in_background(lambda: 3, "counting") == 3


def test_training_hears_an_interrupt() -> None:
    # A vocabulary that no text fills, of text whose pairs never come to an end: minutes of work.
    code = (
        "import random, sys\n"
        "from lilliput.cli.main import one_line_errors\n"
        "from lilliput.data.config import TokenizerConfig\n"
        "from lilliput.data.tokenizer import Tokenizer\n"
        "rng = random.Random(1)\n"
        "letters = 'abcdefghijklmnopqrstuvwxyz'\n"
        "texts = [' '.join(''.join(rng.choices(letters, k=200)) for _ in range(200)) for _ in range(150)]\n"
        "print('begin', flush=True)\n"
        "with one_line_errors():\n"
        "    Tokenizer.train(texts, TokenizerConfig(vocab_size=2**20))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"begin\n"
        time.sleep(1)
        assert child.poll() is None
        began = time.monotonic()
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=60)
    assert child.returncode == 130, errors.decode()
    assert time.monotonic() - began < 20
