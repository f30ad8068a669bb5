"""The loss: the completions' alone, the same packed and unpacked, in chunks or at once, batched or not."""

import math
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch

from src.models import loss
from src.models.backends.transformers import load_trainable
from src.models.collation import collate_padded
from src.models.loading import load_adapted
from src.models.loss import batches_by_length, mean_loss, trained_logits_only
from src.numerics import seed_everything
from src.params import TrainParams
from src.prompts.encoding import IGNORE_INDEX, encode_record
from src.prompts.packing import make_rows

LONGEST, PAD = 256, 2


@pytest.fixture(scope="module")
def encoded(load: Callable[[str], Any], record: Callable[..., Any]) -> list[Any]:
    """Eight records of different lengths."""
    from src.synthetic.catalogue import generate_products

    chosen = list(generate_products(seed=9, count=8))
    return [encode_record(load("chat"), record("chat", one.title, one.content[:120]), LONGEST) for one in chosen]


def made(encoded: list[Any], packing: bool) -> list[dict[str, Any]]:
    return make_rows(encoded, LONGEST, packing).to_list()


def logits(model: Any, row: dict[str, Any]) -> Any:
    """The model's logits for one row, [tokens, vocabulary]."""
    batch = collate_padded([row], PAD)
    del batch["labels"]
    with torch.no_grad():
        return model(**batch, use_cache=False).logits[0]


def test_the_loss_is_the_negative_log_likelihood_of_the_trained_tokens(model: Any, encoded: list[Any]) -> None:
    single = made(encoded[:3], packing=False)
    total, tokens = 0.0, 0
    for row in single:
        probabilities = torch.softmax(logits(model, row).double(), dim=1)
        for position, label in enumerate(row["labels"]):
            if label != IGNORE_INDEX:
                total -= math.log(probabilities[position - 1, label])
                tokens += 1
    assert mean_loss(model, single, PAD) == pytest.approx(total / tokens, abs=1e-5)
    trained_only = deepcopy(model)
    trained_logits_only(trained_only)
    assert mean_loss(trained_only, single, PAD) == pytest.approx(total / tokens, abs=1e-5)


def test_the_loss_is_the_same_packed_unpacked_and_batched(model: Any, encoded: list[Any]) -> None:
    packed, single = made(encoded, packing=True), made(encoded, packing=False)
    assert max(len(row["seq_lengths"]) for row in packed) > 1
    whole = mean_loss(model, single, PAD)
    assert mean_loss(model, packed, PAD) == pytest.approx(whole, abs=1e-5)
    assert mean_loss(model, single, PAD, batch_tokens=600) == pytest.approx(whole, abs=1e-5)
    assert mean_loss(model, packed, PAD, batch_tokens=600) == pytest.approx(whole, abs=1e-5)


def test_packed_neighbours_are_invisible(model: Any, encoded: list[Any]) -> None:
    first, second = encoded[0].input_ids, encoded[1].input_ids
    row = {"input_ids": first + second, "labels": first + second, "seq_lengths": [len(first), len(second)]}
    changed = row | {"input_ids": [row["input_ids"][0] + 9, *row["input_ids"][1:]]}
    assert torch.equal(logits(model, row)[len(first) :], logits(model, changed)[len(first) :])
    merged = {"seq_lengths": [len(first) + len(second)]}
    seen = (logits(model, row | merged) - logits(model, changed | merged))[len(first) :].abs().max()
    assert seen > 1e-4  # as one record the second half does see the first


def gradients(base: Path, train: TrainParams, batch: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    """The loss of a batch and the gradients of a new adapter whose B matrices are not zero."""
    seed_everything(1)
    model = load_trainable(base, train)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    found = model(**batch).loss
    found.backward()
    return found.item(), {name: weight.grad for name, weight in model.named_parameters() if weight.requires_grad}


@pytest.mark.parametrize("four_bit", [False, True])
def test_chunks_give_the_same_loss_and_gradients(
    base_folder: Path,
    train_params: TrainParams,
    encoded: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    four_bit: bool,
) -> None:
    batch = collate_padded(made(encoded[:3], packing=False), PAD)
    train = train_params.model_copy(update={"four_bit": four_bit})
    whole, expected = gradients(base_folder, train, batch)
    monkeypatch.setattr(loss, "LOGITS_AT_ONCE", 2048 * 10)  # chunks of about twenty tokens
    monkeypatch.delattr(loss, "whole_loss")
    chunked, found = gradients(base_folder, train, batch)
    assert chunked == pytest.approx(whole, abs=1e-5)
    assert all(torch.allclose(found[name], expected[name], rtol=1e-4, atol=1e-7) for name in expected)
    assert any(gradient.abs().max() > 0 for gradient in found.values())


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 1e-2)])
@pytest.mark.parametrize("size", [1, 7, 40, 100])
def test_a_chunked_loss_is_the_whole_one(dtype: Any, tolerance: float, size: int) -> None:
    from src.models.chunked_loss import ChunkedLoss

    seed_everything(1)
    head = torch.nn.Linear(16, 300, bias=False, dtype=dtype).requires_grad_(False)
    states, targets = torch.randn(40, 16, dtype=dtype), torch.randint(300, (40,))
    losses, gradients = [], []
    for compute in (lambda given: loss.whole_loss(head, given, targets), None):
        given = (30 * states).requires_grad_()  # scores that overflow without their maximum taken off
        value = compute(given) if compute else ChunkedLoss.apply(given, targets, head, size)
        (value / 7).backward()
        losses.append(value.item())
        gradients.append(given.grad)
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=tolerance, atol=tolerance)


def test_a_chunked_loss_computes_logits_once_and_keeps_none() -> None:
    from src.models.chunked_loss import ChunkedLoss

    saved: list[int] = []
    calls: list[int] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        saved.append(tensor.nbytes)
        return tensor

    head = torch.nn.Linear(32, 4096, bias=False).requires_grad_(False)
    head.register_forward_hook(lambda module, given, logits: calls.append(len(logits)))
    states = torch.randn(64, 32, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        ChunkedLoss.apply(states, torch.zeros(64, dtype=torch.long), head, 24).backward()
    assert calls == [24, 24, 16] and saved == [states.nbytes]


def test_chunks_are_whole_tiles_where_the_vocabulary_allows() -> None:
    assert loss.chunk_tokens(128_256) == 512
    assert loss.chunk_tokens(262_144) == 256
    assert loss.chunk_tokens(400_000) == 167
    assert loss.chunk_tokens(2**30) == 1


def test_a_model_that_caps_its_logits_is_left_as_it_is(base_folder: Path) -> None:
    model = load_adapted(base_folder, None, four_bit=False)
    whole = model.forward
    model.config.final_logit_softcapping = 30.0
    trained_logits_only(model)
    assert model.forward == whole


def test_measuring_leaves_the_model_in_its_mode(model: Any, encoded: list[Any]) -> None:
    for mode in (True, False):
        model.train(mode)
        mean_loss(model, made(encoded[:1], packing=False), PAD)
        assert model.training == mode


def test_batches_are_as_large_as_they_may_be() -> None:
    several = [{"input_ids": [0] * length} for length in (3, 9, 4, 5, 30)]
    sizes = [[len(row["input_ids"]) for row in batch] for batch in batches_by_length(several, 18)]
    assert sizes == [[30], [9, 5], [4, 3]]
