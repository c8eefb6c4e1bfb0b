"""Small subjects for the instruments: a model of a family with a tokenizer of story words, and held-out rows."""

from functools import cache
from typing import Any

import torch

from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer
from lilliput.generation.text_generator import TextGenerator
from lilliput.lens.instrument import Subject
from lilliput.objectives.causal import Causal
from lilliput.objectives.objective import ObjectiveConfig
from lilliput.storybook.world import story
from tests.model.families import stirred


@cache
def story_tokenizer(objective: ObjectiveConfig | None = None) -> Tokenizer:
    """A tokenizer of 1,600 tokens, trained on stories as an objective views them."""
    view = (objective or Causal()).view
    return Tokenizer.train([view(story(0, number).text) for number in range(300)], TokenizerConfig(vocab_size=1600))


def vector(module: torch.nn.Module | None, name: str = "weight") -> torch.Tensor:
    """A parameter of a module by its name."""
    assert module is not None
    return dict(module.named_parameters())[name]


def subject(
    family: str = "story",
    objective: ObjectiveConfig | None = None,
    rows: int = 10,
    with_sibling: bool = False,
    **changes: Any,
) -> Subject:
    """A subject of a small stirred model, with `rows` held-out stories of 24 tokens."""
    kind = objective or Causal()
    tokenizer = story_tokenizer(objective)  # type: ignore[arg-type]  # a frozen config has a hash
    model = stirred(family, vocab_size=tokenizer.vocab_size, **changes)
    texts = [kind.view(story(9, number).text) for number in range(rows)]
    ids = [[tokenizer.bos_id, *tokenizer.encode(text)][:24] for text in texts]
    sibling = stirred(family, seed=5, vocab_size=tokenizer.vocab_size, **changes)
    made = [TextGenerator(one, tokenizer, kind) for one in (model, sibling)]
    return Subject(made[0], torch.tensor(ids), sibling=made[1] if with_sibling else None)
