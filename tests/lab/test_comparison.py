import json
from pathlib import Path

import pytest

from lilliput.base.errors import CheckpointError, ConfigError
from lilliput.lab.compare_page import page, verdict, write_page
from lilliput.lab.compare_table import markdown, plain
from lilliput.lab.comparison import Comparison
from lilliput.runs.samples_file import Section, format_samples
from tests.pages import WIDTHS, visit
from tests.runs.made_run import make_masked, make_run
from tests.runs.test_report import HOSTILE, Page


def made(folder: Path, name: str, seed: int = 1, width: int = 128, shift: float = 0.0, **summary: object) -> Path:
    """A run of that name, seed and width whose validation loss lies higher by `shift`."""
    run = make_run(folder / name, seed=seed)
    recipe = (run / "recipe.yaml").read_text()
    recipe = recipe.replace("name: story", f"name: {json.dumps(name)}").replace("seed: 42", f"seed: {seed}")
    (run / "recipe.yaml").write_text(recipe.replace("d_model: 128", f"d_model: {width}"))
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        if "val_bits_per_byte" in line:
            line["val_bits_per_byte"] += shift
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    values = json.loads((run / "summary.json").read_text())
    values["val_bits_per_byte"] += shift
    (run / "summary.json").write_text(json.dumps({**values, **summary}))
    return run


@pytest.fixture
def seeds(tmp_path):
    """Two recipes, two seeds each; the wide one is better by far."""
    return [
        made(tmp_path, "wide-seed1", 1, 256, 0.0),
        made(tmp_path, "narrow-seed1", 1, 128, 0.30),
        made(tmp_path, "narrow-seed2", 2, 128, 0.31),
        made(tmp_path, "wide-seed2", 2, 256, 0.01),
    ]


def test_seeds_are_grouped_and_the_best_group_comes_first(seeds):
    comparison = Comparison(seeds)
    assert [group.name for group in comparison.groups] == ["wide", "narrow"]
    assert [run.label for run in comparison.groups[1].runs] == ["narrow-seed1", "narrow-seed2"]
    best = comparison.groups[0].estimate
    assert best is not None
    assert best.mean == pytest.approx(comparison.groups[0].scores[0] + 0.005)
    assert best.margin == pytest.approx(12.7062 * 0.005, rel=1e-4)


@pytest.mark.parametrize("names", [("story_s42", "story_s43"), ("story-41", "story-42"), ("story7", "story70")])
def test_a_group_is_named_without_its_seeds(tmp_path, names):
    runs = [made(tmp_path, name, seed) for seed, name in enumerate(names, 1)]
    assert [group.name for group in Comparison(runs).groups] == ["story"]


def test_runs_of_another_figure_are_compared_by_it(tmp_path):
    runs = [make_masked(tmp_path / "a", seed=1), make_masked(tmp_path / "b", ended=False)]
    comparison = Comparison(runs, [1.5])
    assert all(run.score is not None for run in comparison.runs)
    text = markdown(comparison)
    assert text.startswith("| model | bits a masked byte |")
    assert "not reached" not in text
    shown = page(comparison)
    assert "Validation bits a masked byte" in shown
    for words in (text, shown, verdict(comparison), plain(comparison)["test"]):
        assert "bits per byte" not in words
    group = plain(comparison)["groups"][0]
    for values in (group, group["runs"][0], group["reaches"][0]):
        assert values["val_bits_per_byte"] is None
        assert values["figure"]["name"] == "val_masked_bits_per_byte"
        assert values["figure"]["unit"] == "bits a masked byte"
    assert group["runs"][0]["figure"]["value"] == pytest.approx(group["figure"]["value"]["mean"])


def test_runs_of_different_figures_are_refused(seeds, tmp_path):
    filled = make_masked(tmp_path / "filled")
    with pytest.raises(ConfigError, match=r"different figures: wide-seed1 by bits per byte; .* by bits a masked byte"):
        Comparison([seeds[0], filled])


def test_a_figure_of_tokens_is_not_ranked_across_tokenizers(tmp_path):
    runs = [make_masked(tmp_path / name, seed=seed) for seed, name in enumerate(("a", "b"))]
    values = json.loads((runs[1] / "summary.json").read_text())
    values["data"]["tokenizer"] = "another"
    (runs[1] / "summary.json").write_text(json.dumps(values))
    comparison = Comparison(runs)
    assert "which model is better is not known" in verdict(comparison)
    assert "Different tokenizers: the final scores are of other tokens, and are not ranked." in comparison.notes


def test_the_difference_is_tested(seeds):
    comparison = Comparison(seeds)
    ((worse, better, found),) = comparison.differences
    assert (worse.name, better.name) == ("narrow", "wide")
    assert found.difference == pytest.approx(0.3)
    assert found.p < 0.001
    assert "wide is best" in verdict(comparison)
    assert "seldom" in verdict(comparison)
    assert "With 2 seeds on a side a difference is an observation" in markdown(comparison)


def test_a_difference_within_the_spread_of_seeds_is_not_claimed(tmp_path):
    shifts = {"a-1": 0.0, "a-2": 0.2, "b-1": 0.05, "b-2": 0.25}
    runs = [made(tmp_path, name, int(name[-1]), 128 if name[0] == "a" else 96, by) for name, by in shifts.items()]
    assert "chance between seeds may give" in verdict(Comparison(runs))


def test_seeds_of_one_recipe_alone_are_reported_with_their_spread(seeds):
    texts = verdict(Comparison([seeds[1], seeds[2]]))
    assert texts.startswith("narrow: 1.122 ± 0.064 (2 seeds) bits per byte")


def test_single_seeds_are_not_tested(tmp_path):
    comparison = Comparison([made(tmp_path, "a"), made(tmp_path, "b", width=64, shift=0.1)])
    assert comparison.differences == []
    assert "not known" in verdict(comparison)
    assert "No difference could be tested" in markdown(comparison)
    assert "±" not in markdown(comparison).split("\n\n")[0]


def test_the_same_seed_again_is_no_further_seed(tmp_path):
    again = [made(tmp_path, name, 1, shift=shift) for name, shift in (("a", 0.0), ("b", 0.1))]
    (group,) = Comparison(again).groups
    assert group.estimate is not None
    assert (group.estimate.count, group.estimate.margin) == (1, None)
    assert "repeats of one seed" in markdown(Comparison(again))
    three = Comparison([*again, made(tmp_path, "c", 2, shift=0.2)])
    first = three.runs[0].score
    assert first is not None
    assert three.groups[0].scores == pytest.approx([first + 0.05, first + 0.2])
    assert "(2 seeds)" in markdown(three)


def test_what_is_known_of_seeds_is_not_denied_elsewhere(seeds, tmp_path):
    comparison = Comparison([seeds[1], seeds[2], made(tmp_path, "single", width=512, shift=0.5)])
    text = markdown(comparison)
    assert "(2 seeds)" in text
    assert "The distance between seeds is known for narrow alone." in text
    assert "is not known here" not in text
    alone = markdown(Comparison([seeds[1], seeds[2]]))
    assert "(2 seeds)" in alone
    assert "not known" not in alone


def test_the_verdict_asks_for_what_the_table_asks_for(tmp_path):
    at = {64: (0.0, 0.002), 128: (0.01, 0.0122), 256: (0.3, 0.31)}
    runs = [made(tmp_path, f"w{w}-{s}", s, w, shift) for w, pair in at.items() for s, shift in enumerate(pair, 1)]
    comparison = Comparison(runs)
    (found,) = [one for worse, better, one in comparison.differences if (worse.name, better.name) == ("w128", "w64")]
    assert 0.017 < found.p < 0.05
    assert "p < 0.017" in markdown(comparison)
    assert "has the lowest score" in verdict(comparison)
    assert "may give" in verdict(comparison)
    assert "is best" in verdict(Comparison(runs[:4]))


def test_scores_of_different_texts_are_not_ranked(tmp_path):
    def tokenized(name: str, seed: int, shift: float, tokenizer: str, part: str) -> Path:
        data = {"train": {}, "validation": {"documents": 9, "bytes": 999}, "tokenizer": tokenizer}
        run = made(tmp_path, name, seed, shift=shift, data=data)
        recipe = (run / "recipe.yaml").read_text().replace("vocab_size: 2048", f"vocab_size: {tokenizer}")
        (run / "recipe.yaml").write_text(f"{recipe}evaluate: {{final_tokens: {part}}}\n")
        return run

    def four(part: str) -> Comparison:
        made = [("x", 1, 0.0, "300"), ("x", 2, 0.01, "300"), ("y", 1, 0.3, "400"), ("y", 2, 0.31, "400")]
        return Comparison([tokenized(f"{n}{part}-{seed}", seed, by, kind, part) for n, seed, by, kind in made])

    cut, whole = four("100"), four("null")
    assert cut.differences == []
    assert "which model is better is not known" in verdict(cut)
    assert "are not ranked" in " ".join(cut.notes)
    assert "scored on the same text" in markdown(cut)
    assert len(whole.differences) == 1
    assert "is best" in verdict(whole)
    assert not any("ranked" in note for note in whole.notes)
    assert any("Curves" in note for note in whole.notes)


def test_runs_of_one_recipe_on_other_text_are_no_seeds_of_it(tmp_path):
    other = {"train": {}, "validation": {"documents": 3, "bytes": 4}, "tokenizer": "x"}
    runs = [made(tmp_path, "a-1", 1), made(tmp_path, "a-2", 2, data=other), made(tmp_path, "a-3", 3)]
    comparison = Comparison(runs)
    assert sorted(len(group.runs) for group in comparison.groups) == [1, 2]
    (runs[2] / "summary.json").unlink()
    comparison = Comparison(runs)
    assert sorted(len(group.runs) for group in comparison.groups) == [1, 2]
    assert [len(group.scores) for group in comparison.groups] == [1, 1]  # of one that has not ended, no final score


def test_three_pairs_are_reported_as_three(tmp_path):
    runs = [made(tmp_path, f"w{w}-{s}", s, w, w / 1000 + s / 500) for w in (64, 128, 256) for s in (1, 2)]
    comparison = Comparison(runs)
    assert len(comparison.differences) == 3
    assert "3 pairs: to be wrong in 5% of such tables, ask for p < 0.017" in markdown(comparison)


def test_a_level_is_reached_between_two_evaluations(tmp_path):
    run = make_run(tmp_path / "a")
    points = [(0, 0, 4.0), (100, 10, 2.0), (200, 30, 1.0), (300, 40, 1.5)]
    lines = [{"step": t, "tokens": t, "seconds": s, "val_bits_per_byte": bits} for t, s, bits in points]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (one, _) = Comparison([run, made(tmp_path, "b")], [3.0]).runs
    assert one.reaches(3.0, "tokens") == pytest.approx(50)
    assert one.reaches(1.5, "tokens") == pytest.approx(150)
    assert one.reaches(1.5, "seconds") == pytest.approx(20)
    assert one.flops_per_token is not None
    assert one.reaches(1.5, "flops") == pytest.approx(150 * one.flops_per_token)
    assert one.reaches(0.5, "tokens") is None


def test_levels_are_chosen_between_the_start_and_the_best_end(seeds):
    comparison = Comparison(seeds)
    assert comparison.levels == sorted(comparison.levels, reverse=True)
    assert all(0.79 < level < 4 for level in comparison.levels)
    assert comparison.groups[0].reaches(comparison.levels[-1], "tokens") is not None
    assert comparison.groups[1].reaches(comparison.levels[-1], "tokens") is None
    assert "not reached" in markdown(comparison)
    assert Comparison(seeds, [1.5, 2.0]).levels == [2.0, 1.5]


def test_flops_of_a_run_that_has_not_ended_come_from_its_recipe(tmp_path):
    run = made(tmp_path, "a")
    (run / "summary.json").unlink()
    comparison = Comparison([run, made(tmp_path, "b")])
    assert comparison.runs[0].flops_per_token is not None
    assert comparison.runs[0].flops_per_token > 6 * 128 * 128 * 4
    assert comparison.notes == ["a: summary.json is missing: the run has not ended, or was cut off."]


def test_what_does_not_compare_is_reported(tmp_path):
    other = {"train": {}, "validation": {"documents": 3, "bytes": 4}, "tokenizer": "x"}
    runs = [made(tmp_path, "a"), made(tmp_path, "b", data=other, device="another")]
    for run in runs:
        (run / "recipe.yaml").write_text((run / "recipe.yaml").read_text() + "evaluate: {final_tokens: 100}\n")
    notes = " ".join(Comparison(runs).notes)
    for part in ("996 documents of 655278 bytes", "3 documents of 4 bytes", "Different tokenizers", "of another"):
        assert part in notes
    assert Comparison([made(tmp_path, "c"), made(tmp_path, "d", width=64)]).notes == []


def test_settings_are_those_that_differ(seeds):
    assert Comparison(seeds).settings == {"seed": [1, 1, 2, 2], "model.d_model": [256, 128, 128, 256]}


def test_runs_that_share_a_name_go_by_their_folders(tmp_path):
    (tmp_path / "x").mkdir()
    comparison = Comparison([made(tmp_path, "a"), made(tmp_path / "x", "a", seed=2)])
    assert [run.label for run in comparison.runs] == [str(tmp_path / "a"), str(tmp_path / "x" / "a")]


def test_what_cannot_be_compared_is_refused(tmp_path):
    run = made(tmp_path, "a")
    for paths in ([run], [run, run], [run, tmp_path / "x" / ".." / "a"]):
        with pytest.raises(ConfigError, match="1 different runs"):
            Comparison(paths)
    fresh = [made(tmp_path, name) for name in ("b", "c")]
    for one in fresh:
        (one / "metrics.jsonl").write_text("")
    with pytest.raises(CheckpointError, match="evaluated"):
        Comparison(fresh)


def test_plain_values_hold_what_the_tables_do(seeds):
    values = plain(Comparison(seeds))
    assert values["groups"][0]["val_bits_per_byte"]["seeds"] == 2
    assert values["groups"][0]["reaches"][0]["flops"] > 0
    assert [run["seed"] for run in values["groups"][0]["runs"]] == [1, 2]
    assert values["differences"][0]["worse"] == "narrow"
    assert "Welch" in values["test"]


def test_a_table_is_whole_whatever_the_names(tmp_path):
    text = markdown(Comparison([made(tmp_path, "a|b\nc"), made(tmp_path, "d", width=64)]))
    first = text.split("\n\n")[0].splitlines()
    assert len(first) == 4
    assert r"a\|b c" in text
    assert {line.replace(r"\|", "").count("|") for line in first} == {9}


def test_the_page_holds_it_all_and_is_inert(seeds, tmp_path):
    odd = made(tmp_path, "odd", 1, 64, 1.0, device=HOSTILE)
    (odd / "recipe.yaml").write_text((odd / "recipe.yaml").read_text().replace("story_1m", json.dumps(HOSTILE)))
    (odd / "samples.md").write_text(format_samples(Section(10, 10, 1.0, [(HOSTILE, HOSTILE)])))
    read = Page(page(Comparison([*seeds, odd])))
    for part in (
        "wide is best",
        "Welch",
        "model.d_model",
        "A kind duck",
        "Against tokens",
        "training TFLOP",
        "wall time",
    ):
        assert part in read.text, part
    assert read.text.count("document.title='owned'") >= 4
    assert not {"script", "img", "link"} & set(read.tags)
    assert read.links == []
    assert read.tags.count("svg") == 6


def test_every_run_is_seen_in_every_chart_however_bad_it_is(seeds, tmp_path):
    bad = made(tmp_path, "bad", 1, 64, 20.0)
    text = page(Comparison([*seeds, bad]))
    # in each of three charts, drawn for two widths: a dot of the run's own colour, the third
    assert text.count('<circle class="f2"') >= 6


@pytest.mark.parametrize("width", WIDTHS)
def test_a_browser_fits_the_page_on_a_phone_and_a_desk(seeds, browser, tmp_path, width):
    seeds.append(made(tmp_path, "a-name-that-goes-on-" * 8, width=512))
    shown = visit(browser, write_page(Comparison(seeds), tmp_path / "out" / "compare.html"), width)
    kind = "narrow" if width == 390 else "wide"
    assert [chart.is_visible() for chart in shown.locator(f"svg.chart.{kind}").all()] == [True] * 3
    cards = [card.bounding_box() for card in shown.locator(".side").first.locator("> div").all()]
    side_by_side = len({box["y"] for box in cards if box}) == 1
    assert side_by_side == (width == 1280)
    shown.close()
