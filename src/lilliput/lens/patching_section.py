"""The instrument of patching: the places of the model through which a name comes to its next mention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from lilliput.base.errors import DataError, ModelError
from lilliput.base.html import escape, table
from lilliput.base.statistics import interval
from lilliput.lens.figures import figure_text, mean_figure, ratio_figure, share_text
from lilliput.lens.findings import beats, compared
from lilliput.lens.heat import heat_table
from lilliput.lens.instrument import INSTRUMENTS, Compared, Instrument, Subject
from lilliput.lens.patching import Into, Pairs, Patching, logit_difference, path_patch, unrelated
from lilliput.lens.probes import aligned_pairs
from lilliput.lens.stream import stage_names
from lilliput.lens.texts import piece, reading_texts, sibling_of, text_of

PAIRS = 6
LEAST_GAP = 0.1
"""The least mean difference, in logits, between the texts of a pair of which shares are shown."""
INTO: tuple[Into, ...] = ("q", "k", "v")
SENDERS = 6
"""The most heads whose paths to the receiver are patched, those with the largest shares first."""


def name_pairs(subject: Subject) -> Pairs:
    """Return pairs of texts that differ in one token, the hero's name, which is also the right next token. Raises
    DataError where the tokenizer has no such names, and where none of the texts fits into the subject's rows."""
    count = PAIRS * (4 if subject.thorough else 1)
    found = aligned_pairs(subject.generator, "hero", count, subject.rows.shape[1], subject.seed)
    return Pairs(found.tokens, found.twins, found.right, found.wrong)


def controls(patching: Patching, other: Patching, untrained: torch.Tensor, seed: int) -> dict[str, Any]:
    """Return the figures that bound the shares: everything, nothing, and an unrelated text; and the logit differences
    of both texts, of the model and of the untrained model."""
    return {
        "clean": mean_figure(patching.clean.tolist(), seed),
        "corrupted": mean_figure(patching.corrupted.tolist(), seed),
        "untrained_clean": mean_figure(untrained.tolist(), seed),
        "everything": share_figure(patching, patching.everything(), seed),
        "nothing": share_figure(patching, patching.patch({}), seed),
        "unrelated_everything": share_figure(other, other.everything(), seed),
    }


def share_figure(patching: Patching, patched: torch.Tensor, seed: int) -> dict[str, Any]:
    """Return the recovered share of patched logit differences (N,) with its interval over the pairs."""
    gaps = patching.clean - patching.corrupted
    return ratio_figure((patched - patching.corrupted).tolist(), gaps.tolist(), seed)


def reads_names(patching: Patching, seed: int = 0) -> bool:
    """Return whether the model prefers the name of the clean texts by enough that shares of the preference mean
    anything: by LEAST_GAP logits, with an interval above 0. A share of nearly nothing may be any number."""
    low, _ = interval((patching.clean - patching.corrupted).tolist(), seed)
    return patching.gap >= LEAST_GAP and low > 0


def head_figures(patching: Patching, other: Patching, seed: int) -> list[dict[str, Any]]:
    """Return for each head its recovered share, and the share from an unrelated text, with intervals over the pairs;
    largest share first."""
    config = patching.model.config
    found = [
        {
            "layer": layer,
            "head": head,
            "share": share_figure(patching, patching.head(layer, head), seed),
            "unrelated": share_figure(other, other.head(layer, head), seed),
        }
        for layer in range(config.n_layers)
        for head in range(config.n_heads)
    ]
    return sorted(found, key=lambda one: -one["share"]["mean"])


def path_figures(patching: Patching, heads: list[dict[str, Any]], seed: int) -> dict[str, Any] | None:
    """Return the shares of the paths from the embeddings and from earlier heads into the receiver: the head with the
    largest share outside the first layer. None for a model of one layer."""
    receiver = next(((one["layer"], one["head"]) for one in heads if one["layer"]), None)
    if receiver is None:
        return None
    earlier = [(one["layer"], one["head"]) for one in heads if one["layer"] < receiver[0]]
    senders: list[tuple[int, int] | None] = [None, *earlier[:SENDERS]]
    paths = [{"sender": sender and list(sender), **_path(patching, sender, receiver, seed)} for sender in senders]
    return {"receiver": list(receiver), "paths": paths}


def _path(patching: Patching, sender: tuple[int, int] | None, receiver: tuple[int, int], seed: int) -> dict[str, Any]:
    found = {}
    for into in INTO:
        shares = path_patch(patching.model, patching.pairs, sender, receiver, into)
        found[into] = share_figure(patching, patching.corrupted + shares * patching.gap, seed)
    return found


@INSTRUMENTS.add("patching")
class PatchingInstrument(Instrument):
    """Where a name is on its way from its first mention to the place where it is generated again."""

    title = "The way of a name through the model (activation patching)"
    part = "decided"
    order = 4
    heads = True

    def refuses(self, subject: Subject) -> str:
        if reason := super().refuses(subject):
            return reason
        try:
            patching = Patching(subject.generator.model, name_pairs(subject))
        except DataError as error:
            return error.message
        except ModelError:  # the model does not read the name at all, as at step 0
            return "it predicts the same after both texts, so nothing can be recovered"
        return "" if reads_names(patching, subject.seed) else "it hardly prefers the name that a text has given before"

    def measure(self, subject: Subject) -> dict[str, Any]:
        generator = subject.generator
        model = generator.model
        pairs = name_pairs(subject)
        patching = Patching(model, pairs)
        other = Patching(model, pairs, unrelated(pairs, subject.rows))
        ids = pairs.clean[0].tolist()
        texts = reading_texts(generator, ids)
        order = list(texts)
        untrained = logit_difference(subject.untrained.model, pairs, pairs.clean)
        heads = head_figures(patching, other, subject.seed)
        sibling = sibling_of(subject)
        seed = None if sibling is None else Patching(sibling.model, pairs)
        seed = seed if seed is not None and reads_names(seed, subject.seed) else None
        return {
            "pairs": len(pairs.clean),
            "words": list(texts.values()),
            "text": text_of(generator, ids),
            "corrupted_text": text_of(generator, pairs.corrupted[0].tolist()),
            "right": piece(generator, int(pairs.right[0])),
            "wrong": piece(generator, int(pairs.wrong[0])),
            "stages": stage_names(model),
            "controls": controls(patching, other, untrained, subject.seed),
            "stream": _rounded(patching.stream()[:, order]),
            "attention": _rounded(patching.parts("attn")[:, order]),
            "mlps": _rounded(patching.parts("mlp")[:, order]),
            "heads": heads,
            "another_seed": None if seed is None else head_figures(seed, seed, subject.seed)[0],
            "paths": path_figures(patching, heads, subject.seed),
        }

    def section(self, found: Mapping[str, Any]) -> str:
        layers, words = found["stages"][1:], found["words"]
        # Words that the model reads before the name are the same in both texts and carry nothing: they are left out.
        carrying = [at for at in range(len(words)) if any(line[at] for line in found["stream"])]
        kept = range(min(carrying, default=0), max(carrying, default=-1) + 1)
        grids = (
            ("The stream after each layer", found["stages"], found["stream"]),
            ("What attention adds (attn_out)", layers, found["attention"]),
            ("What the MLP adds (mlp_out)", layers, found["mlps"]),
        )
        drawn = "".join(
            f"<h4>{escape(title)}</h4>"
            + heat_table(
                names, [words[at].strip() or "·" for at in kept], [[line[at] for at in kept] for line in grid], 1.0
            )
            for title, names, grid in grids
        )
        return (
            _introduction(found)
            + drawn
            + _heads(found["heads"], found["another_seed"])
            + _paths(found["paths"])
            + _controls(found)
        )

    def findings(self, found: Mapping[str, Any]) -> list[str]:
        first = found["heads"][0]
        if not beats(first["share"], first["unrelated"]):
            return []
        own = share_text(first["share"])
        return [
            f"Head {first['layer']}.{first['head']} carries names: it brings back {own} of the preference for "
            f"a name, and from an unrelated text {share_text(first['unrelated'])}."
        ]

    def comparable(self, found: Mapping[str, Any]) -> dict[str, Compared]:
        first = found["heads"][0]
        return {"share of a name that the strongest head carries": compared(first["share"], first["unrelated"])}


def _introduction(found: Mapping[str, Any]) -> str:
    return (
        f"<p>Two texts differ in one name. Beside the first text, “{escape(found['text'])}”, the right next word is "
        f"“{escape(found['right'].strip())}”. Beside the second text, “{escape(found['corrupted_text'])}”, it is "
        f"“{escape(found['wrong'].strip())}”. The model reads the second text, while one activation comes from the "
        "first text. Each number is the share of the preference for the first name that this brings back: 0 is "
        f"nothing, and 1 is everything. Means over {found['pairs']} pairs of names.</p>"
    )


def _heads(heads: list[Mapping[str, Any]], other: Mapping[str, Any] | None) -> str:
    rows = {
        f"head {one['layer']}.{one['head']}": {
            "recovered share": figure_text(one["share"]),
            "from an unrelated text": figure_text(one["unrelated"]),
        }
        for one in heads[:8]
    }
    note = "Head 2.1 is head 1 of layer 2."
    if other is not None:
        note += f" With another seed, the head that carries most is {other['layer']}.{other['head']}: "
        note += f"{figure_text(other['share'])}."
    return f'<h4>The heads that carry most</h4>{table(rows)}<p class="quiet">{note}</p>'


def _paths(found: Mapping[str, Any] | None) -> str:
    if found is None or not found["paths"]:
        return ""
    layer, head = found["receiver"]
    rows = {
        ("from the embeddings" if one["sender"] is None else f"from head {one['sender'][0]}.{one['sender'][1]}"): {
            "into its query (where it looks from)": figure_text(one["q"]),
            "into its key (where it looks to)": figure_text(one["k"]),
            "into its value (what it carries)": figure_text(one["v"]),
        }
        for one in found["paths"]
    }
    return (
        f"<h4>Paths into head {layer}.{head} (path patching)</h4>{table(rows)}"
        '<p class="quiet">The share that the embeddings or one earlier head carry straight into this head. All parts '
        "between keep their values of the second text.</p>"
    )


def _controls(found: Mapping[str, Any]) -> str:
    figures = found["controls"]
    texts = {
        "logit difference after the first text": figures["clean"],
        "logit difference after the second text": figures["corrupted"],
        "the same, untrained weights, first text": figures["untrained_clean"],
        "share with everything patched": figures["everything"],
        "share with nothing patched": figures["nothing"],
        "share with everything from an unrelated text": figures["unrelated_everything"],
    }
    note = "An unrelated text holds neither name. It takes the wrong name away, which brings back about a half."
    rows = {name: {"mean and 95% interval": figure_text(one)} for name, one in texts.items()}
    return f'<h4>Controls</h4>{table(rows)}<p class="quiet">{note}</p>'


def _rounded(values: torch.Tensor) -> list[list[float]]:
    return [[round(value, 4) for value in line] for line in values.tolist()]
