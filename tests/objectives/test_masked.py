"""The masked objective: what is hidden, from (seed, place) alone; sight of both sides; its own figures; a whole run."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from lilliput.base.errors import ConfigError
from lilliput.base.seeds import generator
from lilliput.data.config import TokenizerConfig
from lilliput.data.rows import Rows
from lilliput.data.tokenizer import Tokenizer
from lilliput.model.config import ModelConfig
from lilliput.model.transformer import Model
from lilliput.objectives.masked import Masked, inside_words
from lilliput.objectives.workshop import HeldOut, Workshop

TEXTS = ["the cat sat on a mat and saw one dog, who ran to the red ball"] * 20


@pytest.fixture(scope="module")
def workshop() -> Workshop:
    tokenizer = Tokenizer.train(TEXTS, TokenizerConfig(vocab_size=300), ("mask",))
    shape = ModelConfig(d_model=16, n_layers=1, n_heads=2, d_mlp=16, vocab_size=300, context_length=64, causal=False)
    model = Model(shape, seed=0)
    with torch.no_grad():  # the first weights of an output projection may be zeros
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.3, generator=torch.Generator().manual_seed(0))
    return Workshop(tokenizer, model)


def rows(count: int = 64, length: int = 65, segments: np.ndarray | None = None) -> Rows:
    tokens = np.random.default_rng(0).integers(9, 290, (count, length))
    learn = np.ones(tokens.shape, np.float32)
    learn[:, 0] = 0
    return Rows(tokens, learn, segments, [(n,) for n in range(count)])


def test_tokens_are_hidden_in_the_published_shares_and_by_place_alone(workshop: Workshop) -> None:
    objective = Masked().build(workshop)
    batch = objective.batch(rows(), generator(1, "batch", 0))
    chosen = batch.weights > 0
    assert float(batch.weights.mean()) == pytest.approx(0.15, abs=0.02)
    assert not chosen[:, 0].any()  # not learned
    mask = workshop.tokenizer.specials["mask"]
    hidden, same = batch.tokens == mask, batch.tokens == batch.targets
    assert float(hidden[chosen].float().mean()) == pytest.approx(0.8, abs=0.05)
    assert float(same[chosen].float().mean()) == pytest.approx(0.1, abs=0.05)
    assert same[~chosen].all()
    replaced = batch.tokens[chosen & ~hidden & ~same]
    assert not set(replaced.tolist()) & set(workshop.tokenizer.specials.values())
    again = objective.batch(rows(), generator(1, "batch", 0))
    other = objective.batch(rows(), generator(1, "batch", 64))
    assert torch.equal(batch.tokens, again.tokens)
    assert not torch.equal(batch.tokens, other.tokens)
    sizes = torch.from_numpy(workshop.tokenizer.token_bytes())[batch.targets]
    assert torch.equal(batch.sizes, (sizes * chosen).float())


def test_the_tokens_of_a_word_are_hidden_together(workshop: Workshop) -> None:
    inside = inside_words(workshop.tokenizer)
    texts = [workshop.tokenizer.decode([number], continuing=True) for number in range(300)]
    assert inside[[number for number, text in enumerate(texts) if text in ("at", "og", "s")]].all()
    assert not inside[[number for number, text in enumerate(texts) if text.startswith((" ", ","))]].any()
    assert not inside[list(workshop.tokenizer.specials.values())].any()
    batch = Masked(whole_words=True).build(workshop).batch(rows(400), generator(1, "batch", 0))
    chosen = batch.weights > 0
    assert float(batch.weights.mean()) == pytest.approx(0.15, abs=0.02)
    follows = torch.from_numpy(inside[batch.targets.numpy()])[:, 1:]
    follows[:, 0] = False  # the first token of a row is not learned
    assert follows.float().mean() > 0.2
    assert torch.equal(chosen[:, 1:][follows], chosen[:, :-1][follows])
    hidden = batch.tokens == workshop.tokenizer.specials["mask"]
    assert torch.equal(hidden[:, 1:][follows], hidden[:, :-1][follows])
    assert not torch.equal(chosen[:, 1:][~follows], chosen[:, :-1][~follows])


def test_a_hidden_token_is_predicted_from_both_sides_of_its_own_document(workshop: Workshop) -> None:
    segments = np.repeat([[0, 1]], [30, 35], axis=1)
    objective = Masked().build(workshop)
    batch = objective.batch(rows(1, segments=segments), generator(0))
    weights = torch.zeros(1, 64)
    weights[0, 10] = 1

    def loss(changed: int | None = None) -> float:
        tokens = batch.tokens.clone()
        if changed is not None:
            tokens[0, changed] = 299
        with torch.no_grad():
            return float(objective.loss(batch.including({"tokens": tokens, "weights": weights})).total)

    assert loss(25) != loss()  # a later token of its document
    assert loss(3) != loss()
    assert loss(40) == loss()  # another document


def test_its_figures_count_hidden_tokens_and_their_bytes_alone(workshop: Workshop) -> None:
    objective = Masked().build(workshop)
    with torch.no_grad():
        before = workshop.model.output_matrix.clone()
        workshop.model.output_matrix.zero_()  # every token is as likely as the others

    class Loader:
        rows_per_epoch, row_tokens = 16, 64

        def take(self, position: int, count: int) -> Rows:
            part = rows(16)
            end = position + count
            return Rows(part.tokens[position:end], part.learn[position:end], None, part.documents[position:end])

    held = HeldOut(Loader, 8 * 64, lambda: pytest.fail("it models no text"))  # type: ignore[arg-type,return-value]
    found = objective.evaluate(held)
    batch = objective.batch(Loader().take(0, 8), generator("validation", 0))
    count, size = float(batch.weights.sum()), float(batch.sizes.sum())
    assert found["val_loss"] == pytest.approx(math.log(300), rel=1e-5)
    assert found["val_masked_bits_per_byte"] == pytest.approx(count * math.log2(300) / size, rel=1e-5)
    assert 0 <= found["val_masked_accuracy"] <= 0.2
    with torch.no_grad():
        workshop.model.output_matrix.copy_(before)


def test_a_tokenizer_without_a_mask_token_is_refused_and_others_keep_their_ids() -> None:
    plain = Tokenizer.train(TEXTS, TokenizerConfig(vocab_size=300))
    assert "mask" not in plain.specials
    with pytest.raises(ConfigError, match="no mask token"):
        Masked().build(Workshop(plain, None))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="may be 1 at most"):
        Masked(masked=0.9, replaced=0.2).build(Workshop(plain, None))  # type: ignore[arg-type]


def test_a_run_ends_with_a_summary_and_no_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lilliput import api
    from lilliput.cli.train import print_results
    from lilliput.formats.source import Source
    from lilliput.server.serving import load_served
    from tests.cli.conftest import TINY, write_tales

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LILLIPUT_CACHE", str(tmp_path / "cache"))
    write_tales(tmp_path / "tales.txt")
    run = api.train("masked", [*TINY, "model.causal=false"], data=["tales.txt"], name="m", live=False)
    summary = run.summary
    assert 0 < summary["val_masked_bits_per_byte"] < 20
    assert summary["baselines"] == {}
    assert "val_bits_per_byte" not in summary
    assert "story" not in summary
    assert not run.folder.samples.exists()
    assert "val_masked_bits_per_byte=" in repr(run)
    assert run.metrics[0]["val_masked_bits_per_byte"] > summary["val_masked_bits_per_byte"]  # it learned
    folder = run.checkpoints[-1] / "model"
    assert json.loads((folder / "config.json").read_text())["lilliput"]["objective"]["kind"] == "masked"
    assert "generates no text" in (folder / "README.md").read_text()
    report = run.folder.report.read_text()
    assert "bits a masked byte" in report
    assert "lilliput generate" not in report
    capsys.readouterr()
    print_results(run)
    printed = capsys.readouterr().out
    assert f"validation  {summary['val_masked_bits_per_byte']:.3f} bits a masked byte\n" in printed
    _, _, following = printed.partition("\nnext:\n")
    assert [line.split()[1] for line in following.splitlines()] == ["fill", "embed", "report"]
    assert printed.rstrip().endswith("report runs/m")

    for refused in (
        lambda: api.generate(run.path, "Once"),
        lambda: load_served(run.path),
        lambda: Source.load(folder, "m"),
    ):
        with pytest.raises(ConfigError, match=r"'masked', which generates no text\n.*what it does: lilliput fill RUN"):
            refused()
    with pytest.raises(ConfigError, match="no bits per byte of text"):
        api.evaluate(run.path)
