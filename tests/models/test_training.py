"""Training: packed neighbours stay apart, the loss is the answers', a run is proven, repeatable and resumable."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from src.errors import UserError
from src.models import training
from src.models.backends.transformers import load_trainable
from src.models.training import Run, answer_loss, collate, curve, fingerprint, fit, positions, prove, speed
from src.numerics import seed_everything
from src.params import TrainParams
from src.prompts.encoding import IGNORED, encode, predicted_steps, rows

LONGEST = 256


@pytest.fixture(scope="module")
def encoded(load: Callable[[str], Any], record: Callable[..., Any]) -> list[Any]:
    """Eight records of different lengths."""
    from src.embedded.catalogue import products

    chosen = list(products(seed=9, count=8))
    return [encode(load("chat"), record("chat", one.title, one.content[:120]), LONGEST) for one in chosen]


def made(encoded: list[Any], packing: bool) -> list[dict[str, Any]]:
    return rows(encoded, LONGEST, packing).to_list()


def logits(model: Any, row: dict[str, Any]) -> Any:
    """The model's logits for one row, [tokens, vocabulary]."""
    batch = collate([row], pad_id=2)
    del batch["labels"]
    with torch.no_grad():
        return model(**batch, use_cache=False).logits[0]


def test_positions_start_again_with_each_record() -> None:
    assert positions({"seq_lengths": [3, 1, 2]}) == [0, 1, 2, 0, 0, 1]


def test_rows_are_padded_to_one_length() -> None:
    short = {"input_ids": [5, 6], "labels": [IGNORED, 6], "seq_lengths": [2]}
    long = {"input_ids": [5, 6, 7, 8], "labels": [IGNORED, 6, 7, 8], "seq_lengths": [1, 3]}
    batch = collate([short, long], pad_id=2)
    assert batch["input_ids"].tolist() == [[5, 6, 2, 2], [5, 6, 7, 8]]
    assert batch["labels"].tolist() == [[IGNORED, 6, IGNORED, IGNORED], [IGNORED, 6, 7, 8]]
    assert batch["position_ids"].tolist() == [[0, 1, 0, 1], [0, 0, 1, 2]]


def test_the_loss_is_the_negative_log_likelihood_of_the_trained_tokens(model: Any, encoded: list[Any]) -> None:
    single = made(encoded[:3], packing=False)
    total, tokens = 0.0, 0
    for row in single:
        probabilities = torch.softmax(logits(model, row).double(), dim=1)
        for position, label in enumerate(row["labels"]):
            if label != IGNORED:
                total -= math.log(probabilities[position - 1, label])
                tokens += 1
    assert answer_loss(model, single, pad_id=2) == pytest.approx(total / tokens, abs=1e-5)


def test_the_loss_is_the_same_packed_and_unpacked(model: Any, encoded: list[Any]) -> None:
    packed, single = made(encoded, packing=True), made(encoded, packing=False)
    assert max(len(row["seq_lengths"]) for row in packed) > 1
    losses = [answer_loss(model, chosen, pad_id=2) for chosen in (packed, single)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_packed_neighbours_are_invisible(model: Any, encoded: list[Any]) -> None:
    first, second = encoded[0].input_ids, encoded[1].input_ids
    row = {"input_ids": first + second, "labels": first + second, "seq_lengths": [len(first), len(second)]}
    changed = row | {"input_ids": [row["input_ids"][0] + 9, *row["input_ids"][1:]]}
    assert torch.equal(logits(model, row)[len(first) :], logits(model, changed)[len(first) :])
    merged = {"seq_lengths": [len(first) + len(second)]}
    seen = (logits(model, row | merged) - logits(model, changed | merged))[len(first) :].abs().max()
    assert seen > 1e-4  # as one record the second half does see the first


def test_measuring_leaves_the_model_in_its_mode(model: Any, encoded: list[Any]) -> None:
    for mode in (True, False):
        model.train(mode)
        answer_loss(model, made(encoded[:1], packing=False), pad_id=2)
        assert model.training == mode


def trained(
    base: Path, tokenizer: Any, encoded: list[Any], train: TrainParams, checkpoints: Path
) -> tuple[Any, Run, list[Any]]:
    """A model trained on the records, its run, and its trained weights."""
    seed_everything(train.seed)
    model = load_trainable(base, train)
    packed = rows(encoded, train.max_length, train.packing)
    run = fit(model, tokenizer, packed, made(encoded[:2], packing=False), train, checkpoints)
    return model, run, [weight.detach().clone() for weight in model.parameters() if weight.requires_grad]


@pytest.fixture
def train(train_params: TrainParams) -> TrainParams:
    """Six steps: eight records, each in a row of its own."""
    return train_params.model_copy(
        update={"max_length": LONGEST, "packing": False, "accumulation": 1, "epochs": 1.5, "lora_dropout": 0.1}
    )


@pytest.mark.parametrize("four_bit", [True, False])
def test_a_run_takes_the_steps_predicted_moves_every_b_matrix_and_repeats(
    base_folder: Path, chat_tokenizer: Any, encoded: list[Any], train: TrainParams, tmp_path: Path, four_bit: bool
) -> None:
    train = train.model_copy(
        update={"four_bit": four_bit, "optimizer": "paged_adamw_8bit" if four_bit else "adamw_torch"}
    )
    predicted = predicted_steps(8, train.batch_size, train.accumulation, train.epochs, train.max_steps)
    model, run, weights = trained(base_folder, chat_tokenizer, encoded, train, tmp_path / "checkpoints")
    proof = prove(model, run, predicted)
    assert (proof["steps"], proof["b_matrices_moved"], proof["b_matrices"]) == (6, 14, 14)
    assert proof["validation_loss_last"] < proof["validation_loss_first"]
    assert [point["step"] for point in run.training_loss] == [1, 2, 3, 4, 5, 6]
    assert [point["step"] for point in run.validation_loss] == [0, 2, 4, 6]
    assert all(weight.dtype == torch.float32 for weight in weights)
    _, again, same = trained(base_folder, chat_tokenizer, encoded, train, tmp_path / "others")
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(weights, same, strict=True))
    assert (again.training_loss, again.validation_loss) == (run.training_loss, run.validation_loss)


def test_an_interrupted_run_ends_in_the_same_weights(
    base_folder: Path,
    chat_tokenizer: Any,
    encoded: list[Any],
    train: TrainParams,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = base_folder, chat_tokenizer, encoded, train.model_copy(update={"eval_steps": 1})
    _, whole, weights = trained(*arguments, tmp_path / "whole")
    measure, calls = training.answer_loss, []

    def interrupted_at_step_3(*given: Any) -> float:
        calls.append(given)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return measure(*given)

    monkeypatch.setattr(training, "answer_loss", interrupted_at_step_3)
    with pytest.raises(KeyboardInterrupt):
        trained(*arguments, tmp_path / "cut")
    assert (tmp_path / "cut/checkpoint-2").is_dir()
    _, resumed, same = trained(*arguments, tmp_path / "cut")
    assert "Resuming from checkpoint-2" in capsys.readouterr().out
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(weights, same, strict=True))
    assert (resumed.steps, resumed.training_loss) == (whole.steps, whole.training_loss)
    assert resumed.validation_loss == whole.validation_loss


def test_a_run_shorter_than_its_log_interval_still_has_a_loss(
    base_folder: Path, chat_tokenizer: Any, encoded: list[Any], train: TrainParams, tmp_path: Path
) -> None:
    rare = train.model_copy(update={"log_steps": 500, "save_steps": 500, "warmup_steps": 0})
    model, run, _ = trained(base_folder, chat_tokenizer, encoded, rare, tmp_path / "checkpoints")
    assert math.isfinite(prove(model, run, predicted_steps=6)["training_loss_last"])
    assert run.training_loss[-1]["step"] == 6


def test_a_loss_that_is_not_finite_stops_the_run(
    base_folder: Path, chat_tokenizer: Any, encoded: list[Any], train: TrainParams, tmp_path: Path
) -> None:
    wild = train.model_copy(update={"lr": 1e30, "warmup_steps": 0, "max_grad_norm": 1e30, "scheduler": "linear"})
    with pytest.raises(UserError, match=r"the training loss is nan at step \d: lower train\.lr \(now 1e\+30\)"):
        trained(base_folder, chat_tokenizer, encoded, wild, tmp_path / "checkpoints")


def test_a_curve_keeps_the_points_of_its_key() -> None:
    history = [
        {"step": 0, "epoch": 0.0, "validation_loss": 3.0},
        {"step": 5, "epoch": 0.33333333, "loss": 2.12345678, "grad_norm": 1.0},
        {"step": 5, "epoch": 0.33333333, "train_runtime": 1.0},
    ]
    assert curve(history, "loss") == [{"step": 5, "epoch": 0.3333, "loss": 2.123457}]
    assert curve(history, "validation_loss") == [{"step": 0, "epoch": 0.0, "loss": 3.0}]


def finished(steps: int) -> Run:
    points = [{"step": step, "epoch": 2.0, "loss": loss} for step, loss in ((1, 3.0), (2, 1.0), (3, 2.0))]
    return Run(steps=steps, seconds=10.0, training_loss=points, validation_loss=points)


def test_nothing_is_proven_by_matrices_that_stood_still(base_folder: Path, train: TrainParams) -> None:
    untrained = load_trainable(base_folder, train)
    with pytest.raises(UserError, match="0 of 14 B matrices moved in 6 steps of 6 predicted"):
        prove(untrained, finished(6), predicted_steps=6)
    for name, weight in untrained.named_parameters():
        if "lora_B" in name:
            torch.nn.init.ones_(weight)
    with pytest.raises(UserError, match="14 of 14 B matrices moved in 5 steps of 6 predicted"):
        prove(untrained, finished(5), predicted_steps=6)
    proof = prove(untrained, finished(6), predicted_steps=6)
    assert (proof["validation_loss_first"], proof["validation_loss_best"], proof["validation_loss_last"]) == (3, 1, 2)
    assert proof["trainable_parameters"] == sum(w.numel() for w in untrained.parameters() if w.requires_grad)


def test_speed_counts_what_was_trained() -> None:
    measured = speed(finished(6), {"tokens_per_epoch": 1000, "trained_token_share": 0.5, "records": 20})
    assert measured["tokens_per_second"] == 200
    assert measured["trained_tokens_per_second"] == 100
    assert measured["samples_per_second"] == 4.0


def test_a_fingerprint_is_of_contents_names_and_parameters(tmp_path: Path, train: TrainParams) -> None:
    folder = tmp_path / "inputs"
    folder.mkdir()
    (folder / "a").write_text("one")
    first = fingerprint([folder], train)
    assert fingerprint([folder], train) == first
    changed = [fingerprint([folder], train.model_copy(update={"lr": 0.5}))]
    (folder / "a").write_text("two")
    changed.append(fingerprint([folder], train))
    (folder / "a").rename(folder / "b")
    changed.append(fingerprint([folder], train))
    assert len({first, *changed}) == 4
