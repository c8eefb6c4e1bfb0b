"""The section of the page on features: figures with controls, and one page for each feature, to browse by keyboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lilliput.base.html import escape, table
from lilliput.lens.neurons_section import examples

WIDTH, HEIGHT = 240, 48
"""Size of a histogram in pixels."""


def section(found: Mapping[str, Any]) -> str:
    """Return the figures of the instrument `features` as HTML. Without its script all pages stand below each other."""
    pages = "".join(_page(one) for one in found["pages"])
    return "".join(
        (
            "<p>A model writes many meanings into few numbers. A sparse autoencoder looks for directions "
            f"(features) such that each activation is nearly a sum of {found['k']} of {found['width']} directions. "
            f"It learned from a part of the text, at <code>{escape(found['hook'])}</code>; all figures are of "
            "the other part.</p>",
            table(_figures(found)),
            "<p>An untrained model is the control, and may be explained better: its activations hold little more than "
            "the token itself.</p>",
            "<h3>The best feature for each kind of word</h3>"
            "<p>The score is the share of pairs (a word of the kind, another token) in which the feature is larger for "
            "the word (AUC). Random directions of equal number and single neurons are beside it.</p>"
            + table(_selectivity(found["selectivity"])),
            _effect(found["ablation"]),
            "<h3>Features found again</h3>" + table(_matching(found["matching"])) if found["matching"] else "",
            _steering(found),
            "<h3>Feature by feature</h3>"
            "<p>The best feature of each kind of word comes first, then a random sample of the features that fire. The "
            "marked token is the token at which the feature fires.</p>"
            f'<div data-browse="feature">{pages}</div>',
        )
    )


def _figures(found: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    other = found["controls"]
    rows = {
        "variance unexplained": {
            "this model": _interval(found["variance_unexplained"]),
            **{name: _interval(each["variance_unexplained"]) for name, each in other.items()},
        },
        "loss recovered, beside zeros": {"this model": _interval(found["loss_recovered_zero"])},
        "loss recovered, beside the mean": {"this model": _interval(found["loss_recovered_mean"])},
        "features that never fire": {"this model": f"{found['dead']:.1%}"},
        "features that fire at a token": {"this model": _interval(found["l0"])},
    }
    return {name: {key: row.get(key, "-") for key in ("this model", *other)} for name, row in rows.items()}


def _selectivity(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, dict[str, str]]:
    others = {name: {one["concept"]: one for one in units} for name, units in found.items() if name != "features"}
    rows = {}
    for one in found["features"]:
        rows[one["concept"]] = {
            "feature": str(one["unit"]),
            "AUC": f"{one['auc']:.3f} ({one['low']:.3f} to {one['high']:.3f})",
            "shuffled labels": f"{one['shuffled']:.3f}",
            **{
                name: f"{units[one['concept']]['auc']:.3f}" for name, units in others.items() if one["concept"] in units
            },
        }
    return rows


def _effect(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    return (
        "<p>Taking a feature away where it fires changes the next token's distribution by "
        f"{_interval(found['kl'])} nats (KL divergence). A random direction of equal length changes it by "
        f"{_interval(found['random'])}.</p>"
    )


def _matching(found: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    return {
        name: {
            "similarity of the best match": _interval(one["similarity"]),
            "shuffled": _interval(one["similarity_shuffled"]),
            "found again": f"{one['found_again']:.1%}",
            "found again, shuffled": f"{one['found_again_shuffled']:.1%}",
        }
        for name, one in found.items()
    }


def _steering(found: Mapping[str, Any]) -> str:
    if not found["folder"] or not found["pages"]:
        return ""
    page = found["pages"][0]
    strength = max(1, round(page["histogram"]["largest"]))
    run = found["folder"].removesuffix("/lens/features")
    return (
        "<p>To generate with more of a feature:</p><pre>lilliput generate "
        f'{escape(run)} "Once upon a time" --steer {escape(found["folder"])}:{page["feature"]}={strength}</pre>'
    )


def _page(one: Mapping[str, Any]) -> str:
    effect = one["ablation"]
    removed = (
        f"<p>Taken away, it changes the next token by {effect['kl']:.3g} nats; a random direction of equal length by "
        f"{effect['random']:.3g}.</p>"
        if effect
        else ""
    )
    promotes = (
        f"<p>Raises (decoder direction through the unembedding): {_words(one['promotes'])}</p>"
        f"<p>Lowers: {_words(one['lowers'])}</p>"
        if one["promotes"]
        else ""
    )
    return (
        f'<article id="feature-{one["feature"]}" data-name="feature {one["feature"]}">'
        f"<h4>Feature {one['feature']}</h4><p>Fires at {one['fires']:.2%} of the tokens, up to "
        f"{one['histogram']['largest']:.3g}.</p>{_bars(one['histogram'])}{examples(one['examples'])}{promotes}{removed}"
        "</article>"
    )


def _words(found: Sequence[Sequence[Any]]) -> str:
    return ", ".join(f"<code>{escape(text.replace(' ', '␣'))}</code> {score:+.1f}" for text, score in found)


def _bars(found: Mapping[str, Any]) -> str:
    """The histogram of the activations above 0 as SVG. Heights are square roots, so that few strong ones are seen."""
    counts = found["counts"]
    most, step = max([*counts, 1]) ** 0.5, WIDTH / len(counts)
    bars = "".join(
        f'<rect class="f0" x="{place * step:.1f}" width="{step - 1:.1f}" '
        f'y="{HEIGHT - HEIGHT * count**0.5 / most:.1f}" height="{HEIGHT * count**0.5 / most:.1f}">'
        f"<title>{count} tokens</title></rect>"
        for place, count in enumerate(counts)
    )
    label = f"Histogram of activations from 0 to {found['largest']:.3g}: {', '.join(map(str, counts))} tokens"
    return (
        f'<svg class="chart" role="img" aria-label="{escape(label)}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}">{bars}</svg>'
    )


def _interval(found: Mapping[str, float] | None) -> str:
    return "-" if found is None else f"{found['mean']:.3g} ({found['low']:.3g} to {found['high']:.3g})"
