"""/v1/completions of a model whose encoder reads a source: the prompt is the source, and the answer stands alone."""

from collections.abc import Iterator

import httpx
import numpy as np
import pytest
import torch

from lilliput.data.config import TokenizerConfig
from lilliput.data.document import Document
from lilliput.data.examples import Example
from lilliput.data.tokenizer import Tokenizer
from lilliput.generation.text_generator import TextGenerator
from lilliput.model.config import resolve
from lilliput.model.source import Source
from lilliput.model.transformer import Model
from lilliput.objectives.text_to_text import TextToText
from lilliput.server.served import Served
from tests.server.conftest import Address, serving

PAIRS = {"reverse: Tom ran home": "home ran Tom", "reverse: Lily saw it": "it saw Lily", "who?": "Tom and Lily"}


@pytest.fixture(scope="module")
def answering() -> TextGenerator:
    """A tiny model that knows its pairs by heart, after some two seconds."""
    texts = [*PAIRS, *PAIRS.values()]
    tokenizer = Tokenizer.train(texts * 9, TokenizerConfig(vocab_size=300))
    documents = [
        Document("", source, example=Example("completion", {"prompt": source, "completion": target}))
        for source, target in PAIRS.items()
    ]
    pairs = TextToText().encode(documents, tokenizer)
    sources, targets = (_padded([pair[side].ids for pair in pairs], tokenizer.pad_id) for side in (0, 1))
    lengths = torch.tensor([len(pair[0].ids) for pair in pairs])
    shape = {"d_model": 64, "n_layers": 1, "encoder_layers": 1, "n_heads": 4, "d_head": 16, "context_length": 48}
    model = Model(resolve("t5_2.5m", **shape, vocab_size=tokenizer.vocab_size), seed=0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    weights = (targets[:, 1:] != tokenizer.pad_id).float()
    for _ in range(60):
        hidden = model(targets[:, :-1], source=Source(sources, lengths))
        optimizer.zero_grad()
        (model.loss(hidden, targets[:, 1:], weights) / weights.sum()).backward()
        optimizer.step()
    return TextGenerator(model.eval(), tokenizer, TextToText())


def _padded(rows: list, pad: int) -> torch.Tensor:
    out = np.full((len(rows), max(map(len, rows))), pad, np.int64)
    for row, ids in zip(out, rows, strict=True):
        row[: len(ids)] = ids
    return torch.from_numpy(out)


@pytest.fixture(scope="module")
def server(answering: TextGenerator) -> Iterator[Address]:
    with serving(Served("answering", answering)) as address:
        yield address


def post(server: Address, **body: object) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/completions", json={"temperature": 0, **body}, timeout=60)


def test_the_prompt_is_the_source(server: Address, answering: TextGenerator) -> None:
    for source, target in PAIRS.items():
        answer = post(server, prompt=source).json()
        (choice,) = answer["choices"]
        assert (choice["text"], choice["finish_reason"]) == (target, "stop")
        read = answering.objective.prompt(answering.tokenizer, source, None)
        assert answer["usage"]["prompt_tokens"] == len(read.source) + 1  # and the mark that the decoder begins with
        assert answering.generate(source, temperature=0) == [target]
        assert answering.answer([source]) == ([target], 0)
        assert "".join(answering.stream(source, temperature=0)) == target


def test_several_sources_streams_and_ids(server: Address, answering: TextGenerator) -> None:
    several = post(server, prompt=list(PAIRS)).json()["choices"]
    assert [choice["text"] for choice in several] == list(PAIRS.values())
    streamed = server.client.completions.create(model="answering", prompt="who?", temperature=0, stream=True)
    assert "".join(choice.text for chunk in streamed for choice in chunk.choices) == PAIRS["who?"]
    ids = answering.objective.prompt(answering.tokenizer, "who?", None).source
    assert post(server, prompt=ids).json()["choices"][0]["text"] == PAIRS["who?"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"prompt": "who?", "echo": True}, "answers a source, and has no 'echo'"),
        ({"prompt": "who?", "forced_token_ids": [5]}, "has no 'forced_token_ids'"),
        ({"prompt": "who? " * 60}, "and the encoder reads 1 to 48"),
        ({"ending": "The end."}, "reads forwards"),
    ],
)
def test_what_does_not_fit_is_refused(server: Address, body: dict, words: str) -> None:
    answer = post(server, **body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]


def test_the_list_of_models_says_so(server: Address) -> None:
    (model,) = server.client.models.list()
    assert model.model_dump()["reads_source"] is True
    refused = httpx.post(
        f"{server.url}/v1/chat/completions", json={"messages": [{"role": "user", "content": "hi"}]}, timeout=60
    )
    assert refused.status_code == 400
