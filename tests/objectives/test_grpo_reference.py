"""GRPO beside TRL: on a fixed batch of rollouts, every kind of loss and its gradients are those of TRL's trainer."""

from pathlib import Path
from typing import Any

import pytest
import torch

from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer
from lilliput.model.config import resolve
from lilliput.model.huggingface import from_huggingface, stock_of, to_huggingface
from lilliput.model.places import to_theirs
from lilliput.model.transformer import Model
from lilliput.objectives.batch import Batch
from lilliput.objectives.causal import Causal
from lilliput.objectives.grpo import Grpo
from lilliput.objectives.scoring import with_entropies
from lilliput.objectives.workshop import Reference, Workshop

pytest.importorskip("trl")
pytestmark = pytest.mark.filterwarnings("ignore")

PROMPT, LONGEST, ROWS = 3, 6, 8
LENGTHS = [6, 4, 6, 2, 3, 6, 5, 1]
ADVANTAGES = torch.tensor([1.0, -0.5, 0.3, -0.8, 0.6, 0.2, -1.2, 0.4])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A policy and its reference as stock folders."""
    tokenizer = Tokenizer.train(["One day Tom saw a ball."] * 9, TokenizerConfig(vocab_size=280))
    made = []
    for seed in (0, 1):
        shape = {"d_model": 32, "n_layers": 2, "n_heads": 4, "context_length": 32}
        model = Model(resolve("story_1m", **shape, vocab_size=tokenizer.vocab_size), seed=seed)
        folder = tmp_path_factory.mktemp(f"model{seed}")
        to_huggingface(model, folder, **tokenizer.marks)
        tokenizer.save(folder)
        made.append(folder)
    return made[0], made[1]


def rollouts() -> tuple[torch.Tensor, torch.Tensor]:
    """Ids (ROWS, PROMPT + LONGEST) and a mask (ROWS, LONGEST) of the generated ones."""
    ids = torch.randint(10, 250, (ROWS, PROMPT + LONGEST), generator=torch.Generator().manual_seed(0))
    mask = (torch.arange(LONGEST) < torch.tensor(LENGTHS)[:, None]).long()
    return ids, mask


CASES: list[dict[str, Any]] = [
    {"loss_type": "grpo"},
    {"loss_type": "dr_grpo"},
    {"loss_type": "dapo"},
    {"loss_type": "dapo", "beta": 0.1},
    {"loss_type": "dr_grpo", "beta": 0.1, "use_bias_correction_kl": False},
    {"loss_type": "grpo", "beta": 0.1, "epsilon": 0.1, "epsilon_high": 0.3},
    {"loss_type": "grpo", "importance_sampling_level": "sequence"},
    {"loss_type": "dapo", "temperature": 0.7},
]


@pytest.mark.parametrize("stale", [False, True], ids=["fresh", "stale"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(f"{value}" for value in case.values()))
def test_losses_and_gradients_are_those_of_trl(case: dict[str, Any], stale: bool, folders, tmp_path: Path) -> None:
    expected, theirs = _trl(case, stale, folders, tmp_path)
    found, ours = _ours(case, stale, folders)
    assert found == pytest.approx(expected, abs=1e-5)
    assert set(ours) == set(theirs)
    for name, gradient in theirs.items():
        assert torch.allclose(ours[name], gradient, atol=1e-5), name


def _old(like: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of an earlier policy, some of them far enough to be clipped."""
    return like + 0.5 * torch.sin(torch.arange(like.numel()).view_as(like).float())


def _ours(case: dict[str, Any], stale: bool, folders: tuple[Path, Path]) -> tuple[float, dict[str, torch.Tensor]]:
    model, frozen = (from_huggingface(folder).eval() for folder in folders)
    config = Grpo.model_validate({"rewards": ["length"], "max_completion_length": LONGEST, **case})
    ids, mask = rollouts()
    weights = torch.cat((torch.zeros(ROWS, PROMPT - 1), mask.float()), dim=1)
    batch = Batch(ids[:, :-1], ids[:, 1:], weights, advantages=ADVANTAGES)
    reference = Reference(frozen.requires_grad_(False), None, Causal())  # type: ignore[arg-type]
    objective = config.build(Workshop(None, model, initial=lambda: reference))  # type: ignore[arg-type]
    with torch.no_grad():
        current = with_entropies(model, batch, config.temperature)[0]
        if stale:
            old = torch.zeros_like(weights)
            old[:, PROMPT - 1 :] = _old(current[:, PROMPT - 1 :]) * mask
            batch = batch.including({"old": old})
        found = objective.reference_log_probabilities(batch)  # type: ignore[attr-defined]
        batch = batch if found is None else batch.including({"reference": found})
    (minibatch,) = objective.minibatches(batch)
    loss = objective.loss(minibatch).total / objective.weight(minibatch)
    loss.backward()
    return loss.item(), _named_as_theirs(model)


def _named_as_theirs(model: Model) -> dict[str, torch.Tensor]:
    gradients = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    stock = stock_of(model.config)
    assert stock is not None
    return to_theirs(gradients, stock.names, model.config)


def _trl(
    case: dict[str, Any], stale: bool, folders: tuple[Path, Path], place: Path
) -> tuple[float, dict[str, torch.Tensor]]:
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer

    policy, reference = (AutoModelForCausalLM.from_pretrained(folder) for folder in folders)
    options = GRPOConfig(
        output_dir=str(place),
        max_completion_length=LONGEST,
        num_generations=ROWS,
        per_device_train_batch_size=ROWS,
        gradient_accumulation_steps=1,
        report_to="none",
        use_cpu=True,
        bf16=False,
        **{"beta": 0.0, "temperature": 1.0, **case},
    )
    trainer = GRPOTrainer(
        model=policy,
        reward_funcs=lambda completions, **columns: [0.0] * len(completions),
        args=options,
        train_dataset=Dataset.from_dict({"prompt": ["One day"] * ROWS}),
        processing_class=AutoTokenizer.from_pretrained(folders[0]),
    )
    trainer.current_gradient_accumulation_steps = 1
    ids, mask = rollouts()
    inputs = {
        "prompt_ids": ids[:, :PROMPT],
        "prompt_mask": torch.ones(ROWS, PROMPT, dtype=torch.long),
        "completion_ids": ids[:, PROMPT:],
        "completion_mask": mask,
        "advantages": ADVANTAGES,
        "num_items_in_batch": mask.sum(),
    }
    policy.eval()

    def scores(model: Any) -> torch.Tensor:
        with torch.no_grad():
            logits = model(ids).logits[:, PROMPT - 1 : -1] / options.temperature
        return logits.log_softmax(-1).gather(-1, ids[:, PROMPT:, None])[..., 0]

    if stale:
        inputs["old_per_token_logps"] = _old(scores(policy))
    if case.get("beta"):
        inputs["ref_per_token_logps"] = scores(reference.eval())
    policy.zero_grad()
    loss = trainer._compute_loss(policy.train(), inputs)
    loss.backward()
    return loss.item(), {name: p.grad for name, p in policy.named_parameters() if p.grad is not None}
