"""Turns: the tools of a row reach the chat template, whatever kind of row it is."""

from typing import Any

import pytest

from lilliput.data.document import Document
from lilliput.data.examples import Example
from lilliput.data.rows import Encoded
from lilliput.objectives.distill import Distill
from lilliput.objectives.dpo import DPO
from lilliput.objectives.grpo import Grpo
from lilliput.objectives.kto import KTO
from lilliput.objectives.reward import RewardConfig
from tests.objectives.teaching import TOKENIZER

GRPO = Grpo.model_validate({"rewards": [{"kind": "length"}]})
ASKED = [{"role": "user", "content": "a"}]
REPLY = [{"role": "assistant", "content": "b"}]


@pytest.mark.parametrize(
    ("config", "kind", "row"),
    [
        (GRPO, "messages", {"messages": [*ASKED, *REPLY]}),
        (GRPO, "prompt", {"prompt": ASKED}),
        (DPO(), "preference", {"prompt": ASKED, "chosen": REPLY, "rejected": REPLY}),
        (RewardConfig(), "preference", {"prompt": ASKED, "chosen": REPLY, "rejected": REPLY}),
        (KTO(), "rating", {"prompt": ASKED, "completion": REPLY, "label": True}),
        (Distill(teacher="large"), "completion", {"prompt": ASKED, "completion": REPLY}),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_a_row_of_any_kind_brings_its_tools(config: Any, kind: Any, row: dict[str, Any]) -> None:
    chats = TOKENIZER.with_template(
        "{{ tools | length }}{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}"
    )
    tool = {"type": "function", "function": {"name": "look", "parameters": {}}}
    (made,) = config.encode([Document("", "row", example=Example(kind, {**row, "tools": [tool]}))], chats)
    for each in [made] if isinstance(made, Encoded) else made:
        assert chats.decode(list(each.ids)).strip().startswith("1a")
