"""Training: as predicted, repeatable, resumed to the same bytes, the same in any batches, stopped in time."""

import math
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from src.errors import UserError
from src.models.attention import Attention, choose_attention
from src.models.backends.transformers import load_trainable
from src.numerics import seed_everything
from src.params import TrainParams
from src.prompts.encoding import encode_record
from src.prompts.packing import make_rows
from src.training import arguments, rounds, trainer, validation
from src.training.evidence import training_evidence
from src.training.history import TrainingRun, loss_curve
from src.training.refusals import memory_advice
from src.training.rounds import TrainingContext, explain_failures, train_rounds
from src.training.schedule import predict_steps, split_rounds
from src.training.validation import stopping_due

LONGEST = 256


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Ctrl-C is heard, also in a background process of a shell, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def encoded(load: Callable[[str], Any], record: Callable[..., Any]) -> list[Any]:
    """Eight records of different lengths."""
    from src.synthetic.catalogue import generate_products

    chosen = list(generate_products(seed=9, count=8))
    return [encode_record(load("chat"), record("chat", one.title, one.content[:120]), LONGEST) for one in chosen]


@pytest.fixture
def train(train_params: TrainParams) -> TrainParams:
    """Six steps: eight records, each in a row of its own."""
    return train_params.model_copy(
        update={"max_length": LONGEST, "packing": False, "accumulation": 1, "epochs": 1.5, "lora_dropout": 0.1}
    )


@pytest.fixture
def run(base_folder: Path, chat_tokenizer: Any, encoded: list[Any], tmp_path: Path) -> Callable[..., Any]:
    """Trains on the records and gives the run and its trained weights; `folder` keeps its checkpoints."""

    def trained(
        train: TrainParams, folder: str = "checkpoints", attention: Attention | None = None, chosen: Any = encoded
    ) -> tuple[TrainingRun, list[torch.Tensor]]:
        seed_everything(train.seed)
        model, kernel = load_trainable(base_folder, train), attention or choose_attention(train)
        context = TrainingContext(
            tokenizer=chat_tokenizer,
            validation=make_rows(encoded[:2], LONGEST, packing=False).to_list(),
            names={tuple(one.input_ids): f"B{number}" for number, one in enumerate(encoded)},
            train=train,
            attention=kernel,
        )
        rows = [make_rows(part, train.max_length, kernel.packing) for part in split_rounds(chosen, train.rounds)]
        run = train_rounds(model, context, rows, tmp_path / folder)
        evidence = training_evidence(model, run, run.steps)
        assert evidence["b_matrices"] == 21
        return run, [weight.detach().clone() for weight in model.parameters() if weight.requires_grad]

    return trained


def equal(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> bool:
    """Whether weights are the same to the last bit."""
    return all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def losses(points: list[dict[str, Any]]) -> list[float]:
    return [point["loss"] for point in points]


@pytest.mark.parametrize("four_bit", [True, False])
def test_a_run_takes_the_steps_predicted_and_repeats(
    run: Callable[..., Any], train: TrainParams, encoded: list[Any], four_bit: bool
) -> None:
    optimizer = "paged_adamw_8bit" if four_bit else "adamw_torch"
    train = train.model_copy(update={"four_bit": four_bit, "optimizer": optimizer})
    first, weights = run(train)
    predicted = predict_steps([8], train, processes=1)
    assert (first.steps, first.kept_step, first.stopped_early) == (predicted, 6, False)
    assert first.validation_loss[-1]["loss"] < first.validation_loss[0]["loss"]
    assert [point["step"] for point in first.training_loss] == [1, 2, 3, 4, 5, 6]
    assert [point["step"] for point in first.validation_loss] == [0, 2, 4, 6]
    assert first.samples == 12
    assert 0 < first.trained_tokens < first.tokens < 12 * max(len(one.input_ids) for one in encoded)
    assert all(weight.dtype == torch.float32 for weight in weights)
    again, same = run(train, "others")
    assert equal(weights, same)
    assert (again.training_loss, again.validation_loss) == (first.training_loss, first.validation_loss)


def interrupt_at(monkeypatch: pytest.MonkeyPatch, measurement: int) -> None:
    """Presses Ctrl-C while the validation loss is measured for the n-th time."""
    measure, calls = validation.summed_loss, []

    def interrupted(*given: Any) -> tuple[float, int]:
        calls.append(given)
        if len(calls) == measurement:
            signal.raise_signal(signal.SIGINT)
        return measure(*given)

    monkeypatch.setattr(validation, "summed_loss", interrupted)


@pytest.mark.parametrize(("grouped", "steps"), [(False, (1, 3, 5)), (True, (5,))])
def test_an_interrupted_run_ends_in_the_same_weights(
    run: Callable[..., Any],
    train: TrainParams,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    grouped: bool,
    steps: tuple[int, ...],
) -> None:
    # A point of the training loss is the mean of four steps, between which a run goes on from step 2.
    train = train.model_copy(update={"eval_steps": 1, "best_checkpoint": True, "packing": grouped, "log_steps": 4})
    attention = Attention("sdpa", packing=False, reason="")
    whole, weights = run(train, "whole", attention)
    for step in steps:  # 5 is in the second epoch, whose order of records has to be found again
        saved = step // train.save_steps * train.save_steps
        message = rf"interrupted at step {step} of 6: run the same command again and training goes on from step {saved}"
        with monkeypatch.context() as patched, pytest.raises(UserError, match=message):
            interrupt_at(patched, step + 1)
            run(train, f"interrupted at {step}", attention)
        capsys.readouterr()
        resumed, same = run(train, f"interrupted at {step}", attention)
        assert (f"Going on from step {saved}" in capsys.readouterr().out) == (saved > 0)
        assert equal(weights, same)
        assert asdict(resumed) | {"seconds": 0} == asdict(whole) | {"seconds": 0}


def test_seconds_before_an_interruption_count(
    run: Callable[..., Any], train: TrainParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = validation.summed_loss

    def slow(*given: Any) -> tuple[float, int]:
        time.sleep(0.5)
        return measure(*given)

    with monkeypatch.context() as patched:
        patched.setattr(validation, "summed_loss", slow)
        interrupted = train.model_copy(update={"eval_steps": 2})
        patched.setattr(trainer.CompletionTrainer, "_save_checkpoint", stop_after_saving(at=4))
        with pytest.raises(UserError, match="goes on from step 4"):
            run(interrupted)
    resumed, _ = run(interrupted)
    assert resumed.seconds > 1.0  # two measurements of half a second were before the interruption


def stop_after_saving(at: int) -> Callable[..., None]:
    """Presses Ctrl-C once the checkpoint of a step is written."""
    save = trainer.CompletionTrainer._save_checkpoint

    def stopped(self: Any, *given: Any) -> None:
        save(self, *given)
        if self.state.global_step == at:
            signal.raise_signal(signal.SIGINT)

    return stopped


def test_two_checkpoints_are_kept_and_a_broken_one_is_skipped(
    run: Callable[..., Any],
    train: TrainParams,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train = train.model_copy(update={"save_steps": 1, "eval_steps": 6})
    _, weights = run(train, "whole")
    with monkeypatch.context() as patched, pytest.raises(UserError):
        patched.setattr(trainer.CompletionTrainer, "_save_checkpoint", stop_after_saving(at=4))
        run(train, "interrupted")
    kept = sorted(tmp_path.glob("interrupted/round-1-steps/checkpoint-*"))
    assert [path.name for path in kept] == ["checkpoint-3", "checkpoint-4"]
    optimizer = kept[1] / "optimizer.pt"
    optimizer.write_bytes(optimizer.read_bytes()[:1000])
    capsys.readouterr()
    _, same = run(train, "interrupted")
    out = capsys.readouterr().out
    assert "checkpoint-4 is incomplete, or has changed since it was written" in out and "Going on from step 3" in out
    assert equal(weights, same)


def test_a_round_that_is_done_is_not_done_again(run: Callable[..., Any], train: TrainParams, tmp_path: Path) -> None:
    first, weights = run(train)
    written = (tmp_path / "checkpoints/round-1/run.json").stat().st_mtime_ns
    again, same = run(train)
    assert again == first
    assert equal(weights, same)
    assert (tmp_path / "checkpoints/round-1/run.json").stat().st_mtime_ns == written


def test_rounds_go_on_from_each_other_with_a_fresh_optimiser(
    run: Callable[..., Any], train: TrainParams, encoded: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    train = train.model_copy(update={"rounds": 2, "epochs": 1, "eval_steps": 1})
    both, weights = run(train)
    assert both.steps == 4
    assert [point["step"] for point in both.training_loss] == [1, 2, 3, 4]
    assert [point["epoch"] for point in both.validation_loss] == [0, 0.5, 1, 1.5, 2]
    once, _ = run(train.model_copy(update={"rounds": 1}), "once", chosen=encoded[:4])
    assert losses(both.training_loss)[:2] == losses(once.training_loss)  # round 1 is training on the first part
    assert both.validation_loss[2] == once.validation_loss[2]
    with monkeypatch.context() as patched:
        interrupt_at(patched, 5)  # step 1 of round 2, whose step 0 is measured too
        with pytest.raises(UserError, match="interrupted at step 1 of 2"):
            run(train, "interrupted")
    resumed, same = run(train, "interrupted")
    assert equal(weights, same)
    assert resumed.training_loss == both.training_loss


def test_one_batch_of_eight_is_eight_batches_of_one(run: Callable[..., Any], train: TrainParams) -> None:
    train = train.model_copy(update={"lora_dropout": 0.0, "epochs": 3, "max_grad_norm": 100.0})
    whole, weights = run(train.model_copy(update={"batch_size": 8, "accumulation": 1}), "whole")
    split, same = run(train.model_copy(update={"batch_size": 1, "accumulation": 8}), "split")
    assert losses(split.training_loss) == pytest.approx(losses(whole.training_loss), abs=1e-5)
    assert losses(split.validation_loss) == pytest.approx(losses(whole.validation_loss), abs=1e-4)
    assert all(torch.allclose(one, other, atol=1e-4) for one, other in zip(weights, same, strict=True))


def test_packed_records_train_as_single_ones(run: Callable[..., Any], train: TrainParams) -> None:
    train = train.model_copy(update={"lora_dropout": 0.0, "epochs": 3, "batch_size": 8, "max_grad_norm": 100.0})
    single, weights = run(train, "single")
    packed, same = run(train.model_copy(update={"packing": True}), "packed")
    assert packed.samples == single.samples and packed.tokens == single.tokens
    assert losses(packed.training_loss) == pytest.approx(losses(single.training_loss), abs=1e-5)
    assert all(torch.allclose(one, other, atol=1e-4) for one, other in zip(weights, same, strict=True))


def test_a_run_shorter_than_its_log_interval_still_has_a_loss(run: Callable[..., Any], train: TrainParams) -> None:
    short, _ = run(train.model_copy(update={"log_steps": 500, "save_steps": 500, "warmup_steps": 0}))
    assert math.isfinite(short.training_loss[-1]["loss"])
    assert short.training_loss[-1]["step"] == 6


def test_the_best_adapter_is_kept(run: Callable[..., Any], train: TrainParams) -> None:
    wild = train.model_copy(update={"lr": 3.0, "warmup_steps": 0, "eval_steps": 1, "scheduler": "constant_with_warmup"})
    measured = losses(run(wild, "whole")[0].validation_loss)
    # Where such a learning rate leads depends on the processor: end at the first step that is worse than one before.
    worse = next(step for step in range(2, len(measured)) if measured[step] > min(measured[1:step]))
    kept, weights = run(wild.model_copy(update={"best_checkpoint": True, "max_steps": worse}), "best")
    best = min(kept.validation_loss[1:], key=lambda point: point["loss"])
    assert kept.kept_step == best["step"] < kept.steps == worse
    _, others = run(wild.model_copy(update={"max_steps": kept.kept_step}), "until then")
    assert equal(weights, others)


def test_the_best_adapter_before_an_interruption_is_kept(
    run: Callable[..., Any], train: TrainParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    wild = train.model_copy(update={"lr": 3.0, "warmup_steps": 0, "eval_steps": 1, "scheduler": "constant_with_warmup"})
    wild = wild.model_copy(update={"best_checkpoint": True, "epochs": 1.75})
    whole, weights = run(wild, "whole")
    saved = next(step for step in (4, 6) if step >= whole.kept_step)
    with monkeypatch.context() as patched, pytest.raises(UserError, match=f"goes on from step {saved}"):
        patched.setattr(trainer.CompletionTrainer, "_save_checkpoint", stop_after_saving(at=saved))
        run(wild, "interrupted")
    resumed, same = run(wild, "interrupted")
    assert resumed.kept_step == whole.kept_step
    assert equal(weights, same)


def test_training_stops_early(run: Callable[..., Any], train: TrainParams) -> None:
    wild = train.model_copy(update={"lr": 3.0, "warmup_steps": 0, "eval_steps": 1, "scheduler": "constant_with_warmup"})
    patient = wild.model_copy(update={"early_stopping": 2, "epochs": 10})
    stopped, _ = run(patient)
    measured = losses(stopped.validation_loss)
    assert stopped.stopped_early and stopped.steps < 40
    due = [stopping_due(measured[:end], patient) for end in range(1, len(measured) + 1)]
    assert due == [False] * (len(measured) - 1) + [True]
    assert min(measured[-2:]) >= min(measured[:-2])
    assert not stopping_due(measured, wild)
    assert stopped.training_loss[-1]["step"] == stopped.steps


def poison(model: Any, wanted: list[int]) -> None:
    """Makes a model's loss NaN for a batch that holds a record."""
    whole = model.get_base_model().forward

    def poisoned(input_ids: Any = None, **given: Any) -> Any:
        outcome = whole(input_ids=input_ids, **given)
        if model.training and any(row[: len(wanted)].tolist() == wanted for row in input_ids):
            outcome["loss"] = outcome["loss"] * float("nan")
        return outcome

    model.get_base_model().forward = poisoned


@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_loss_that_is_not_finite_names_the_step_and_the_records(
    run: Callable[..., Any],
    train: TrainParams,
    encoded: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    accumulation: int,
) -> None:
    build = rounds.build_trainer

    def built(model: Any, *given: Any) -> Any:
        poison(model, encoded[5].input_ids)
        return build(model, *given)

    monkeypatch.setattr(rounds, "build_trainer", built)
    with pytest.raises(UserError) as caught:
        run(train.model_copy(update={"accumulation": accumulation, "log_steps": 500}))
    found = str(caught.value)
    step, named = found.split("at step ")[1][0], found.split("records ")[1].split(":")[0].split(", ")
    assert found.startswith("the training loss is nan at step ")
    assert 1 <= int(step) <= 4 // accumulation
    assert "B5" in named and len(named) == 2 and set(named) < {f"B{number}" for number in range(8)}


def test_gradients_that_are_not_finite_stop_the_run(
    run: Callable[..., Any], train: TrainParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = rounds.build_trainer

    def built(model: Any, *given: Any) -> Any:
        next(weight for weight in model.parameters() if weight.requires_grad).register_hook(lambda grad: grad / 0)
        return build(model, *given)

    monkeypatch.setattr(rounds, "build_trainer", built)
    with pytest.raises(
        UserError, match=r"the gradients' norm is nan at step 1, in a batch of the records B\d, B\d: look"
    ):
        run(train)


def test_a_far_too_high_learning_rate_stops_the_run(run: Callable[..., Any], train: TrainParams) -> None:
    wild = train.model_copy(update={"lr": 1e30, "warmup_steps": 0, "max_grad_norm": 1e30, "scheduler": "linear"})
    message = r"at step \d, in a batch of the records B\d, B\d: look at those, lower train\.lr \(now 1e\+30\)"
    with pytest.raises(UserError, match=message):
        run(wild.model_copy(update={"eval_steps": 100}))


def test_a_curve_keeps_the_points_of_its_key() -> None:
    history = [
        {"step": 0, "epoch": 0.0, "validation_loss": 3.0},
        {"step": 5, "epoch": 0.33333333, "loss": 2.12345678, "grad_norm": 1.0},
        {"step": 5, "epoch": 0.33333333, "train_runtime": 1.0},
    ]
    assert loss_curve(history, "loss") == [{"step": 5, "epoch": 0.3333, "loss": 2.123457}]
    assert loss_curve(history, "validation_loss") == [{"step": 0, "epoch": 0.0, "loss": 3.0}]


@pytest.mark.parametrize("packing", [True, False])
def test_a_process_that_makes_the_batches_changes_no_weight(
    run: Callable[..., Any], train: TrainParams, monkeypatch: pytest.MonkeyPatch, packing: bool
) -> None:
    train = train.model_copy(update={"packing": packing, "accumulation": 2, "max_length": 256})
    one, weights = run(train)
    monkeypatch.setattr(arguments, "collating_workers", lambda on_gpu: 1)  # as on a GPU
    other, same = run(train, "others")
    assert equal(weights, same)
    assert (one.training_loss, one.tokens) == (other.training_loss, other.tokens)


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ({"batch_size": 16, "accumulation": 1}, "train.batch_size to 8 (now 16) and train.accumulation to 2 (now 1)"),
        ({"batch_size": 5, "accumulation": 2}, "train.batch_size to 2 (now 5) and train.accumulation to 5 (now 2)"),
        ({"batch_size": 1}, "train.gradient_checkpointing to true"),
        ({"batch_size": 1, "gradient_checkpointing": True}, "train.four_bit to true"),
        ({"batch_size": 1, "gradient_checkpointing": True, "four_bit": True}, "train.max_length to 64 (now 128)"),
    ],
)
def test_full_memory_names_the_parameter_to_lower(
    train_params: TrainParams, given: dict[str, Any], advice: str
) -> None:
    assert advice in memory_advice(train_params.model_copy(update=given))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), None])
def test_full_memory_is_distinguished_from_other_errors(
    run: Callable[..., Any], train: TrainParams, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Any
) -> None:
    trainer: Any = type("Trainer", (), {"state": type("State", (), {"global_step": 4, "max_steps": 6})})

    message = r"the memory is full at step 5: set train\.batch_size to 1 \(now 2\)"
    with pytest.raises(UserError, match=message), explain_failures(trainer, train, tmp_path):
        if error:
            raise error
        torch.empty(2**60, dtype=torch.uint8)  # more than the machine can address
    with pytest.raises(RuntimeError, match="size mismatch"), explain_failures(trainer, train, tmp_path):
        raise RuntimeError("size mismatch")


def test_a_kernel_without_an_order_is_named(train: TrainParams, tmp_path: Path) -> None:
    seed_everything(0, deterministic=True)
    message = r"train\.deterministic is true, and put_ adds in no fixed order .* train\.deterministic to false"
    with pytest.raises(UserError, match=message), explain_failures(cast(Any, None), train, tmp_path):
        torch.zeros(3).put_(torch.tensor([0]), torch.ones(1))  # which torch refuses on a CPU, too
