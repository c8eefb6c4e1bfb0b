"""Learning from rewards: rollouts equal what training starts from, groups are compared as TRL does, values add up."""

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from lilliput.base.errors import ConfigError, DataError, TrainingError
from lilliput.data.chat_template import chatml
from lilliput.data.config import TokenizerConfig
from lilliput.data.document import Document
from lilliput.data.examples import Example
from lilliput.data.loader import Loader
from lilliput.data.rows import Encoded
from lilliput.data.shards import ShardWriter
from lilliput.data.split import Split
from lilliput.data.tokenizer import Tokenizer
from lilliput.decoding.engine import Engine
from lilliput.decoding.sampling import SamplingConfig
from lilliput.model.block import Block
from lilliput.model.config import ModelConfig
from lilliput.model.sight import Sight
from lilliput.model.transformer import Model
from lilliput.objectives.batch import Batch
from lilliput.objectives.causal import Causal
from lilliput.objectives.grpo import Grpo
from lilliput.objectives.policy import Policy, PolicyConfig
from lilliput.objectives.ppo import Ppo, advantages_of, whitened
from lilliput.objectives.reward import RewardConfig
from lilliput.objectives.rewards.others import RewardModel
from lilliput.objectives.rollouts import generate, laid_out
from lilliput.objectives.scoring import with_entropies
from lilliput.objectives.workshop import HeldOut, Reference, Workshop

TEXTS = ["One day Tom saw a red ball. He was happy.", "Lily had a cat. The cat was sad.", "A dog ran to the hill."]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(TEXTS * 9, TokenizerConfig(vocab_size=300))


def model_of(tokenizer: Tokenizer, seed: int = 0) -> Model:
    shape: dict[str, Any] = {"d_model": 32, "n_layers": 2, "n_heads": 4, "d_mlp": 64, "context_length": 64}
    model = Model(ModelConfig(**shape, vocab_size=tokenizer.vocab_size), seed=seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    return model


def workshop(tokenizer: Tokenizer, model: Model, **further: Any) -> Workshop:
    frozen = copy.deepcopy(model).eval().requires_grad_(False)
    reference = Reference(frozen, tokenizer, Causal())
    return Workshop(
        tokenizer,
        model,
        initial=lambda: reference,
        **{"engine": lambda rows, capacity=None, weights="own": Engine(model, rows, capacity), **further},
        ends=tokenizer.ends,
    )


def prompts(tokenizer: Tokenizer, count: int = 3) -> Batch:
    found = [tokenizer.beginning + tokenizer.encode(text)[:5] for text in TEXTS[:count]]
    columns = [{"prompt": text, "wanted": place} for place, text in enumerate(TEXTS[:count])]
    return Batch(torch.tensor(found), lengths=torch.tensor([len(ids) for ids in found]), columns=columns)


def vowels(prompts: list[str], completions: list[str], **columns: Any) -> list[float]:
    return [sum(map(text.count, "aeiou")) / (1 + len(text)) for text in completions]


REWARD = {"kind": "function", "path": f"{__name__}:vowels"}


def grpo(**given: Any) -> Grpo:
    return Grpo.model_validate({"rewards": [REWARD], "max_completion_length": 16, **given})


def built(config: PolicyConfig, tokenizer: Tokenizer, model: Model, **further: Any) -> Policy:
    objective = config.build(workshop(tokenizer, model, **further))
    assert isinstance(objective, Policy)
    return objective


# ---------------------------------------------------------------- rollouts


@pytest.mark.parametrize("native", [False, True])
def test_the_engine_scores_its_tokens_as_training_does(tokenizer: Tokenizer, native: bool) -> None:
    from lilliput.decoding.native import native as stand_in
    from lilliput.decoding.native import why_not

    model = model_of(tokenizer).eval()
    if native and why_not(model):
        pytest.skip(f"native steps are not for this machine: {why_not(model)}")
    engine = Engine(stand_in(model) if native else model, 12)
    batch = prompts(tokenizer)
    rollouts = generate(engine, batch.tokens.tolist(), SamplingConfig(temperature=1, max_tokens=12), tokenizer.ends, 4)
    rows = Batch(columns=None, **laid_out(batch.tokens.tolist(), rollouts, 4, tokenizer.pad_id))
    with torch.no_grad():
        found, _, _ = with_entropies(model, rows)
    assert float((found - rows.sampled).abs().max()) < 1e-4
    assert rows.weights.sum() == sum(len(rollout.ids) for rollout in rollouts)
    for row, rollout in enumerate(rollouts):
        assert rows.targets[row][rows.weights[row] > 0].tolist() == rollout.ids


def test_a_completion_does_not_depend_on_its_neighbours(tokenizer: Tokenizer) -> None:
    model, batch = model_of(tokenizer).eval(), prompts(tokenizer)
    sampling = SamplingConfig(temperature=1, max_tokens=8, seed=3)
    together = generate(Engine(model, 6), batch.tokens.tolist(), sampling, tokenizer.ends, 2)
    alone = generate(Engine(model, 1), batch.tokens.tolist(), sampling, tokenizer.ends, 2)
    assert [rollout.ids for rollout in together] == [rollout.ids for rollout in alone]


def test_a_prompt_without_room_is_named(tokenizer: Tokenizer) -> None:
    objective = built(grpo(max_completion_length=60), tokenizer, model_of(tokenizer))
    with pytest.raises(TrainingError, match="leaves no room for 60 more"):
        objective.prepared(prompts(tokenizer))


# ---------------------------------------------------------------- rewards


def test_columns_reach_the_reward_and_figures_are_observed(tokenizer: Tokenizer, monkeypatch) -> None:
    seen: dict[str, Any] = {}

    def spy(prompts: list[str], completions: list[str], **columns: Any) -> list[float | None]:
        seen.update(prompts=prompts, completions=completions, **columns)
        return [None if wanted == 1 else float(wanted) for wanted in columns["wanted"]]

    monkeypatch.setattr(f"{__name__}.vowels", spy)
    objective = built(grpo(num_generations=2), tokenizer, model_of(tokenizer))
    objective.prepared(prompts(tokenizer))
    assert seen["prompts"] == [text for text in TEXTS for _ in range(2)]
    assert seen["wanted"] == [0, 0, 1, 1, 2, 2]
    assert objective.observed["rewards/vowels/mean"] == 1.0
    assert objective.observed["reward"] == pytest.approx(4 / 6)
    assert objective.observed["frac_reward_zero_std"] == 1.0
    assert {shown["which"] for shown in objective.shown} == {"best", "worst"}


def test_held_out_means_are_over_the_completions_that_are_judged(tokenizer: Tokenizer, monkeypatch) -> None:
    """Batches of one and of three prompts: the first has nothing to judge, and counts for nothing."""
    monkeypatch.setattr(
        f"{__name__}.vowels", lambda wanted, **given: [float(each) if each else None for each in wanted]
    )
    objective = built(grpo(), tokenizer, model_of(tokenizer))
    batches = [prompts(tokenizer, 1), prompts(tokenizer, 3)]
    objective.observed = {"reward": 9.0}
    found = objective.evaluate(cast(HeldOut, SimpleNamespace(batches=lambda objective: batches)))
    assert found["val_rewards/vowels/mean"] == pytest.approx((1 + 2) / 2)
    assert found["val_reward"] == -found["val_negative_reward"] == pytest.approx((0 + 0 + 1 + 2) / 4)
    assert objective.observed == {"reward": 9.0}


def test_a_reward_that_judges_nothing_has_no_mean(tokenizer: Tokenizer, monkeypatch) -> None:
    """Neither 0 nor the mean of an earlier batch is recorded."""
    objective = built(grpo(), tokenizer, model_of(tokenizer))
    objective.prepared(prompts(tokenizer))
    assert "rewards/vowels/mean" in objective.reported(0.0)
    monkeypatch.setattr(f"{__name__}.vowels", lambda **given: [None] * len(given["completions"]))
    objective = built(grpo(), tokenizer, model_of(tokenizer))
    objective.observed["rewards/vowels/mean"] = 0.5
    objective.prepared(prompts(tokenizer))
    assert "rewards/vowels/mean" not in objective.reported(0.0)
    found = objective.evaluate(cast(HeldOut, SimpleNamespace(batches=lambda objective: [prompts(tokenizer)])))
    assert "val_rewards/vowels/mean" not in found
    assert found["val_reward"] == 0


def test_a_reward_that_fails_is_named(tokenizer: Tokenizer, monkeypatch) -> None:
    monkeypatch.setattr(f"{__name__}.vowels", lambda **given: [float("nan")] * len(given["completions"]))
    objective = built(grpo(), tokenizer, model_of(tokenizer))
    with pytest.raises(TrainingError, match="'vowels' returned nan"):
        objective.prepared(prompts(tokenizer))
    monkeypatch.setattr(f"{__name__}.vowels", lambda prompts, completions: [])
    with pytest.raises(TrainingError, match="'vowels' failed: TypeError"):
        built(grpo(), tokenizer, model_of(tokenizer)).prepared(prompts(tokenizer))


def test_ties_are_noticed_once(tokenizer: Tokenizer, monkeypatch) -> None:
    monkeypatch.setattr(f"{__name__}.vowels", lambda prompts, completions, **columns: [1.0] * len(completions))
    lines: list[str] = []
    objective = built(grpo(), tokenizer, model_of(tokenizer), notify=lines.append)
    for _ in range(13):
        objective.prepared(prompts(tokenizer))
    assert len(lines) == 1
    assert "nothing is learned" in lines[0]


def test_ties_are_counted_through_a_resume(tokenizer: Tokenizer, monkeypatch) -> None:
    monkeypatch.setattr(f"{__name__}.vowels", lambda prompts, completions, **columns: [1.0] * len(completions))
    lines: list[str] = []
    before, after = (built(grpo(), tokenizer, model_of(tokenizer), notify=lines.append) for _ in range(2))
    for _ in range(6):
        before.prepared(prompts(tokenizer))
    after.load_state(before.state())
    for _ in range(3):
        after.prepared(prompts(tokenizer))
    assert not lines
    after.prepared(prompts(tokenizer))
    assert len(lines) == 1


def test_two_rewards_of_one_name_are_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(ConfigError, match="two rewards have the name length"):
        built(grpo(rewards=({"kind": "length"}, {"kind": "length", "least": 5})), tokenizer, model_of(tokenizer))


def test_rewards_that_teach_nothing_are_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(ConfigError, match="all rewards have the weight 0"):
        built(grpo(rewards=({"kind": "length", "weight": 0},)), tokenizer, model_of(tokenizer))
    with pytest.raises(ConfigError, match="at least 50 words and at most 10"):
        built(grpo(rewards=({"kind": "length", "least": 50, "most": 10},)), tokenizer, model_of(tokenizer))


# ---------------------------------------------------------------- both algorithms


def arms(prompts: list[str], completions: list[str], **columns: Any) -> list[float]:
    """A bandit of one token: 1 for a token of an odd number of characters, else 0."""
    return [float(len(text) % 2) for text in completions]


ARMS = {"rewards": [{"kind": "function", "path": f"{__name__}:arms"}], "max_completion_length": 1}


@pytest.mark.parametrize(
    "config",
    [
        Grpo.model_validate({**ARMS, "beta": 0.001, "minibatches": 2, "num_iterations": 2, "num_generations": 16}),
        Ppo.model_validate({**ARMS, "num_generations": 16, "num_ppo_epochs": 2, "num_mini_batches": 2, "beta": 0.001}),
    ],
    ids=["grpo", "ppo"],
)
def test_a_bandit_reaches_its_optimum(config: PolicyConfig, tokenizer: Tokenizer) -> None:
    torch.manual_seed(0)
    model = model_of(tokenizer)
    objective = built(config, tokenizer, model)
    parameters = [*model.parameters(), *(p for module in objective.modules().values() for p in module.parameters())]
    optimizer = torch.optim.Adam(parameters, lr=5e-3)
    rewards = []
    for _ in range(20):
        for minibatch in objective.minibatches(objective.prepared(prompts(tokenizer))):
            optimizer.zero_grad()
            (objective.loss(minibatch).total / objective.weight(minibatch)).backward()
            optimizer.step()
        rewards.append(objective.observed["reward"])
    assert rewards[0] < 0.8
    assert np.mean(rewards[-3:]) > 0.95


def test_parts_of_a_minibatch_add_up(tokenizer: Tokenizer) -> None:
    for loss_type in ("grpo", "dr_grpo", "dapo"):
        torch.manual_seed(0)
        objective = built(grpo(loss_type=loss_type), tokenizer, model_of(tokenizer).eval())
        (whole,) = objective.minibatches(objective.prepared(prompts(tokenizer)))
        total = objective.loss(whole)
        parts = [objective.loss(part) for part in whole.split(5)]
        assert sum(part.total.item() for part in parts) == pytest.approx(total.total.item(), abs=1e-5)
        entropy = sum(part.metrics["entropy"].item() for part in parts) / objective.weight(whole)
        expected = with_entropies(objective.model, whole)[1].sum() / whole.weights.sum()
        assert entropy == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(
    "config", [grpo(minibatches=2), Ppo.model_validate({"rewards": [REWARD], "max_completion_length": 16})]
)
def test_parts_of_the_model_add_to_the_loss(config: PolicyConfig, tokenizer: Tokenizer, monkeypatch) -> None:
    """A router's balance is added once for each unit of weight, whatever the loss is divided by."""
    torch.manual_seed(0)
    model = model_of(tokenizer)
    objective = built(config, tokenizer, model)
    batch = next(iter(objective.minibatches(objective.prepared(prompts(tokenizer)))))
    plain = objective.loss(batch).total.item()
    monkeypatch.setattr(Block, "added_loss", lambda self: self.ln1.weight.sum() * 0.25)
    for parts in (1, 2):
        found = sum((objective.loss(part).total for part in batch.split(-(-len(batch) // parts))), torch.zeros(()))
        added = (found.item() - plain) / objective.weight(batch)
        assert added == pytest.approx(sum(0.25 * 32 for _ in model.blocks), rel=1e-4)
    found.backward()
    assert all(bool(torch.ne(cast(Any, block).ln1.weight.grad, 0).any()) for block in model.blocks)


# ---------------------------------------------------------------- values


def test_advantages_are_those_of_a_table() -> None:
    """Worked by hand for gamma 0.9 and lambda 0.5. Errors: 2 - 1 = 1 at the last token, then 0 + 0.9 * 1 - 2 = -1.1,
    then 1 + 0.9 * 2 - 0.5 = 2.3. Advantages: 1; -1.1 + 0.45 * 1 = -0.65; 2.3 + 0.45 * -0.65 = 2.0075."""
    rewards = torch.tensor([[0.0, 1.0, 0.0, 2.0, 0.0]])
    values = torch.tensor([[9.0, 0.5, 2.0, 1.0, 9.0]])
    mask = torch.tensor([[0.0, 1.0, 1.0, 1.0, 0.0]])
    found = advantages_of(rewards, values, mask, 0.9, 0.5)
    assert found.tolist() == [pytest.approx([0.0, 2.0075, -0.65, 1.0, 0.0])]


def test_whitening_is_over_the_generated_tokens() -> None:
    mask = torch.tensor([[0.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
    found = whitened(torch.tensor([[50.0, 1.0, 2.0], [3.0, 4.0, 70.0]]), mask)
    inside = found[mask > 0]
    assert float(inside.mean()) == pytest.approx(0, abs=1e-6)
    assert float(inside.std(correction=0)) == pytest.approx(1, abs=1e-5)
    assert found[mask == 0].tolist() == [0, 0]


def test_the_gradient_is_the_policy_gradient_of_a_table() -> None:
    """A policy of one step and three actions with a logit each: at ratio 1 the gradient of PPO's and GRPO's loss
    is minus the mean of advantage times (one-hot - probabilities)."""
    logits = torch.tensor([0.2, -0.3, 0.5], requires_grad=True)
    actions, advantages = torch.tensor([0, 2, 2, 1]), torch.tensor([1.0, -0.5, 0.25, 2.0])
    scores = logits.log_softmax(-1)[actions]
    ratio = (scores - scores.detach()).exp()
    torch.maximum(-advantages * ratio, -advantages * ratio.clamp(0.8, 1.2)).mean().backward()
    table = (torch.eye(3)[actions] - logits.detach().softmax(-1)) * advantages[:, None]
    assert logits.grad is not None
    assert torch.allclose(logits.grad, -table.mean(0), atol=1e-6)


# ---------------------------------------------------------------- from rows to batches


def test_prompts_are_encoded_with_their_columns(tokenizer: Tokenizer, tmp_path: Path) -> None:
    config = grpo()
    documents = [
        Document("", f"row {place}", example=Example("prompt", {"prompt": text}, {"wanted": place}))
        for place, text in enumerate(TEXTS)
    ]
    with ShardWriter(tmp_path, "train", "uint16", 1000, tokenizer.bos_id) as writer:
        for document, encoded in zip(documents, config.encode(documents, tokenizer), strict=True):
            writer.add_document([encoded], document.id, 10)
        facts = writer.close()
    loader = Loader(Split(tmp_path, "train", facts, "uint16"), 63, 1, "documents", tokenizer.bos_id, tokenizer.pad_id)
    batch = config.build(workshop(tokenizer, model_of(tokenizer))).batch(loader.take(0, 3), np.random.default_rng(0))
    assert batch.columns is not None
    for ids, length, columns in zip(batch.tokens.tolist(), batch.lengths.tolist(), batch.columns, strict=True):
        text = TEXTS[columns["wanted"]]
        assert columns["prompt"] == text
        assert ids[:length] == tokenizer.beginning + tokenizer.encode(text)


def test_a_conversation_is_asked_up_to_its_last_reply(tokenizer: Tokenizer) -> None:
    chats = tokenizer.with_specials(["im_start", "im_end"]).with_template(chatml(tokenizer.begins))

    def asked(*roles: str, **further: Any) -> Encoded:
        row = {"messages": [{"role": role, "content": f"a {role}"} for role in roles], **further}
        (found,) = grpo().encode([Document("", "row", example=Example("messages", row))], chats)
        return found

    def roles(found: Encoded) -> list[str]:
        assert found.columns is not None
        return [turn["role"] for turn in found.columns["prompt"]]

    assert roles(asked("system", "user", "assistant")) == ["system", "user"]
    assert roles(asked("user", "assistant", "tool", "assistant")) == ["user", "assistant", "tool"]
    assert roles(asked("user", "assistant", "user")) == ["user", "assistant", "user"]
    assert len(asked("assistant").ids) == 0


@pytest.mark.parametrize("name", ["prompts", "completions"])
def test_a_column_with_the_name_of_an_argument_is_refused(tokenizer: Tokenizer, name: str) -> None:
    document = Document("", "row 7", example=Example("prompt", {"prompt": "One"}, {name: 1}))
    with pytest.raises(DataError, match=f"row 7 has a column '{name}'"):
        grpo().encode([document], tokenizer)


def test_a_model_that_chats_is_shown_by_its_replies(tokenizer: Tokenizer) -> None:
    chats = tokenizer.with_specials(["im_start", "im_end"]).with_template(chatml(tokenizer.begins))
    seen: list[Any] = []

    def reply(prompts: Any) -> list[str]:
        seen.extend(prompts)
        return ["yes"] * len(prompts)

    objective = built(grpo(), chats, model_of(chats))
    assert objective.samples(["Tell a story."], reply) == ["Tell a story.\n\nyes"]
    assert seen == [[{"role": "user", "content": "Tell a story."}]]


# ---------------------------------------------------------------- what a step begins with


def test_ratios_begin_at_one_in_a_lower_precision(tokenizer: Tokenizer) -> None:
    """The engine's numbers come from other sums than those of a training pass: in bf16 they differ visibly."""
    model = model_of(tokenizer).eval()
    objective = built(grpo(num_iterations=2), tokenizer, model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rows = objective.prepared(prompts(tokenizer))
        found = with_entropies(model, rows)[0]
    assert torch.equal(rows.old, found.detach())
    assert not torch.equal(rows.old, rows.sampled)


def test_only_a_run_in_bf16_asks_for_bf16_weights(tokenizer: Tokenizer) -> None:
    model, asked = model_of(tokenizer).eval(), []

    def engine(rows: int, capacity: int, weights: str) -> Engine:
        asked.append((weights, torch.is_autocast_enabled("cpu")))
        return Engine(model, rows, capacity)

    objective = built(grpo(), tokenizer, model, engine=engine)
    objective.rolled_out(prompts(tokenizer))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        objective.rolled_out(prompts(tokenizer))
    assert asked == [("own", False), ("bf16", False)]


def test_an_engine_in_fp32_draws_the_same_in_a_lower_precision(tokenizer: Tokenizer) -> None:
    """Autocast is off while it draws: the cache of a long prompt in bf16 would keep native steps out."""
    model = model_of(tokenizer).eval()
    plain = built(grpo(), tokenizer, model)
    with plain.held_out():
        _, expected = plain.rolled_out(prompts(tokenizer))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            _, found = plain.rolled_out(prompts(tokenizer))
    assert [one.ids for one in found] == [one.ids for one in expected]
    assert [one.log_probabilities for one in found] == [one.log_probabilities for one in expected]


def test_a_reference_of_another_tokenizer_is_refused(tokenizer: Tokenizer) -> None:
    other = Tokenizer.train(TEXTS * 9, TokenizerConfig(vocab_size=280))
    model = model_of(tokenizer)
    frozen = Reference(model_of(other).eval(), other, Causal())
    with pytest.raises(ConfigError, match="another tokenizer"):
        built(grpo(beta=0.1, reference="elsewhere"), tokenizer, model, load=lambda path: frozen)


def test_a_reward_model_reads_a_reply_as_in_its_training(tokenizer: Tokenizer) -> None:
    """The end mark of some tokenizers is their padding as well, and is no part of what a reward model reads."""
    tokenizer = Tokenizer(tokenizer.content, {"pad": tokenizer.token(tokenizer.eos_id)})
    assert tokenizer.pad_id == tokenizer.eos_id
    model = model_of(tokenizer).eval()
    config = RewardConfig()
    made = config.build(workshop(tokenizer, model))
    kept = {"reward.score.weight": made.modules()["reward"].score.weight.detach().normal_()}  # type: ignore[union-attr]
    frozen = Reference(model, tokenizer, config, kept)
    score = RewardModel(run="judge").build(workshop(tokenizer, model, load=lambda path: frozen))
    row = {"prompt": "One day", "chosen": " Tom saw.", "rejected": " a cat"}
    ((chosen, rejected),) = config.encode([Document("", "row", example=Example("preference", row))], tokenizer)
    found = score(prompts=["One day"] * 2, completions=[row["chosen"], row["rejected"]])
    for value, encoded in zip(found, (chosen, rejected), strict=True):
        ids = torch.tensor([list(encoded.ids)])
        with torch.no_grad():
            expected = made.modules()["reward"](model(ids), Sight(lengths=torch.tensor([ids.shape[1]])))
        assert value == pytest.approx(float(expected), abs=1e-5)


def test_ties_of_values_are_those_of_the_whole_batch(tokenizer: Tokenizer, monkeypatch) -> None:
    """The values compare the completions of all prompts, in whatever order these come."""
    monkeypatch.setattr(
        f"{__name__}.vowels", lambda prompts, completions, **columns: [float(w) for w in columns["wanted"]]
    )
    config = Ppo.model_validate({"rewards": [REWARD], "max_completion_length": 4, "num_generations": 2, "beta": 0})
    objective = built(config, tokenizer, model_of(tokenizer))
    objective.prepared(prompts(tokenizer))
    assert objective.observed["frac_reward_zero_std"] == 0
