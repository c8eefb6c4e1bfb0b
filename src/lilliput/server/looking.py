"""/lens/attribution: the heads, MLPs and neurons that wrote a token of a generated text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from fastapi import APIRouter, Request

from lilliput.decoding.inference import inference
from lilliput.lens.attribution import Attribution, attribute, attribute_neurons
from lilliput.lens.stream import has_neurons
from lilliput.server import answers
from lilliput.server.errors import Refused, about
from lilliput.server.schemas import Attributed, AttributionRequest, Share, TopToken
from lilliput.server.service import Service, unless_left

if TYPE_CHECKING:
    from lilliput.server.served import Served

DEFAULT_TOP = 10
"""Parts that are listed, and neurons."""
NEURON_LAYERS = 3
"""The neurons of so many layers are looked at: of those whose MLPs have the largest shares."""


def router(service: Service) -> APIRouter:
    """Return the route for the models of `service`."""
    routes = APIRouter()

    @routes.post("/lens/attribution")
    async def attribution(request: Request, body: AttributionRequest) -> Attributed:
        worker = service.worker(body.model)
        check(worker.served, body)
        work = worker.compute(lambda: attributed(worker.served, body), answers.client(request))
        with about("model"):  # a model whose parts do not add up, such as an int8 model
            return await unless_left(request, work)

    return routes


# ---------------------------------------------------------------------------- attribution


def check(served: Served, body: AttributionRequest) -> None:
    """Raise Refused for ids, a position or a number of tokens that the model does not have."""
    size = min(served.tokenizer.vocab_size, served.model.config.vocab_size)
    for param, ids in (("token_ids", body.token_ids), ("against", [body.against or 0])):
        if max(ids) >= size:
            raise Refused(f"{param} holds the id {max(ids)}; '{served.name}' knows 0 to {size - 1}", param=param)
    if body.position >= len(body.token_ids):
        message = f"there is no token {body.position} among {len(body.token_ids)} tokens"
        raise Refused(message, "positions count from 0, and the first token has nothing before it", param="position")
    if body.position > served.context_length:
        message = f"token {body.position} has more tokens before it than the context of {served.context_length}"
        raise Refused(message, "leave out tokens at the beginning", param="token_ids")


def attributed(served: Served, body: AttributionRequest) -> Attributed:
    """Return the shares of the model's parts in one token. Called in the worker's thread."""
    model = served.generator.model
    device = next(model.parameters()).device
    before = torch.tensor([body.token_ids[: body.position]], device=device)
    right = body.token_ids[body.position]
    with inference(model):
        logits = model.logits(model(before)[:, -1])[0]
    wrong = body.against
    if wrong is None:
        wrong = next(one for one in logits.topk(2).indices.tolist() if one != right)
    sides = torch.full_like(before, right), torch.full_like(before, wrong)
    found = attribute(model, before, *sides)
    parts = sorted(_shares(found), key=lambda part: -abs(part.share))
    scores, top = logits.log_softmax(-1), body.top or DEFAULT_TOP
    return Attributed(
        model=served.name,
        token=TopToken(id=right, token=served.spell(right), logprob=float(scores[right])),
        against=TopToken(id=wrong, token=served.spell(wrong), logprob=float(scores[wrong])),
        difference=float(found.total[0, -1]),
        parts=parts[:top],
        rest=sum(part.share for part in parts[top:]),
        neurons=_neurons(served, before, sides, found, top),
    )


def _shares(found: Attribution) -> list[Share]:
    """The parts that add up to the difference, at the last position."""
    shares = [
        Share(kind="head", name=f"head {layer}.{index}", layer=layer, index=index, share=share)
        for layer, heads in enumerate(found.heads[0, -1].tolist())
        for index, share in enumerate(heads)
    ]
    shares += [
        Share(kind="mlp", name=f"MLP {layer}", layer=layer, share=share)
        for layer, share in enumerate(found.mlps[0, -1].tolist())
    ]
    others = {
        "embedding of the token before it": found.embedding[0, -1],
        "position": found.position[0, -1],
        "biases": found.attn_bias[0, -1].sum() + found.norm_bias[0, -1],
    }
    return shares + [Share(kind="other", name=name, share=float(share)) for name, share in others.items() if share]


def _neurons(
    served: Served, before: torch.Tensor, sides: tuple[torch.Tensor, torch.Tensor], found: Attribution, top: int
) -> list[Share]:
    """The neurons with the largest shares, in the layers whose MLPs have the largest shares."""
    if not has_neurons(served.generator.model):
        return []
    mlps = found.mlps[0, -1].abs()
    shares = []
    for layer in mlps.topk(min(NEURON_LAYERS, len(mlps))).indices.tolist():
        values = attribute_neurons(served.generator.model, before, layer, *sides).values[0, -1]
        largest = values.abs().topk(min(top, len(values))).indices.tolist()
        shares += [
            Share(kind="neuron", name=f"neuron {layer}.{i}", layer=layer, index=i, share=float(values[i]))
            for i in largest
        ]
    return sorted(shares, key=lambda part: -abs(part.share))[:top]
