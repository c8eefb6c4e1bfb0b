"""A small subject for tests: a model with a tokenizer of story words, held-out rows, and a sibling of another seed."""

import torch

from lilliput.data.tokenizer import Tokenizer
from lilliput.generation.text_generator import TextGenerator
from lilliput.lens.instrument import Subject
from lilliput.objectives.causal import Causal
from lilliput.objectives.objective import ObjectiveConfig
from lilliput.storybook.world import story
from tests.lens.subjects import story_tokenizer
from tests.model.families import stirred


def words() -> Tokenizer:
    """A tokenizer of 1,600 tokens, in which most names of stories are one token."""
    return story_tokenizer()


def generator(family: str = "story", seed: int = 0, objective: ObjectiveConfig | None = None) -> TextGenerator:
    model = stirred(family, seed, vocab_size=words().vocab_size, context_length=96)
    return TextGenerator(model, words(), objective or Causal())


def subject(family: str = "story", rows: int = 4, length: int = 24) -> Subject:
    """Held-out rows, of which the last is padded."""
    ids = [[words().bos_id, *words().encode(story(9, number).text)][:length] for number in range(rows)]
    ids[-1][length - 6 :] = [words().pad_id] * 6
    return Subject(generator(family), torch.tensor(ids), sibling=generator(family, 1))
