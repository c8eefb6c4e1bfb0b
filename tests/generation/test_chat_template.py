"""Chat templates of others: no product, power or loop without end."""

import pytest

from lilliput.base.errors import ConfigError, DataError
from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer

pytest.importorskip("jinja2")
from lilliput.generation.chat_template import ChatTemplate

MESSAGES = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["hello there"] * 5, TokenizerConfig(vocab_size=280))


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'x' * 10**10 }}",
        "{{ 9**9**9 }}",
        "{% for a in range(10**9) %}x{% endfor %}",
        "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
    ],
)
def test_what_would_never_end_is_refused(source: str, tokenizer: Tokenizer) -> None:
    with pytest.raises(ConfigError, match="the chat template"):
        ChatTemplate(source).ids(MESSAGES, tokenizer)


def test_depth_without_end_is_refused() -> None:
    with pytest.raises(DataError, match="not valid Jinja"):
        ChatTemplate("{{ " + "(" * 5000 + "}}")


def test_small_products_and_loops_are_rendered(tokenizer: Tokenizer) -> None:
    source = "{{ '-' * 3 }}{{ 2 ** 3 }}{{ 3 * 4 }}{% for i in range(3) %}{{ messages[0]['content'] }}{% endfor %}"
    assert tokenizer.decode(ChatTemplate(source).ids(MESSAGES, tokenizer)) == "---812hellohellohello"
