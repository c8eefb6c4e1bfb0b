"""A model made by hand whose first layer has a previous-token head and whose second layer has an induction head."""

# pyright: reportIndexIssue=false, reportAttributeAccessIssue=false

from typing import Any

import torch

from lilliput.model.config import ModelConfig
from lilliput.model.transformer import Model

WORDS, PLACES = 30, 52


def induction_model() -> Model:
    """Two layers of two heads. Layer 0, head 0 looks at the token before and writes it beside the own token. Layer 1,
    head 0 looks where the token before is the own token, and copies the token there to the output. The second heads and
    the MLPs write nothing.

    The stream holds the token (WORDS), the position (PLACES), the token before (WORDS) and the output (WORDS).
    """
    width = 3 * WORDS + PLACES
    token, place = slice(0, WORDS), slice(WORDS, WORDS + PLACES)
    before, output = slice(WORDS + PLACES, 2 * WORDS + PLACES), slice(2 * WORDS + PLACES, width)
    shape: dict[str, Any] = {
        "d_model": width,
        "n_layers": 2,
        "n_heads": 2,
        "d_head": PLACES,
        "d_mlp": 8,
        "vocab_size": WORDS,
    }
    shape |= {"vocab_size": WORDS, "context_length": PLACES, "qk_norm": False, "position": "learned"}
    model = Model(ModelConfig(**shape))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.zero_()
        model.embed.weight[:, token] = torch.eye(WORDS)
        model.position.weight[:, place] = torch.eye(PLACES)
        first, second = model.blocks[0].attn, model.blocks[1].attn
        stacked = 2 * PLACES  # rows of all heads' queries, then keys, then values
        # Query i reads position i and asks for position i - 1: the row of the query is shifted by one.
        first.qkv.weight[: PLACES - 1, place] = 20 * torch.eye(PLACES)[1:]
        first.qkv.weight[stacked : stacked + PLACES, place] = torch.eye(PLACES)
        first.qkv.weight[2 * stacked : 2 * stacked + WORDS, token] = torch.eye(WORDS)
        first.out.weight[before, :WORDS] = torch.eye(WORDS)
        second.qkv.weight[:WORDS, token] = 20 * torch.eye(WORDS)
        second.qkv.weight[stacked : stacked + WORDS, before] = torch.eye(WORDS)
        second.qkv.weight[2 * stacked : 2 * stacked + WORDS, token] = torch.eye(WORDS)
        second.out.weight[output, :WORDS] = torch.eye(WORDS)
        assert model.unembed is not None
        model.unembed.weight[:, output] = torch.eye(WORDS)
    return model.eval()
