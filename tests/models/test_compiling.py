"""Compiled layers compute what they did before, under the same names, at any length; a GPU's compiler aside."""

from pathlib import Path
from typing import Any

import pytest
import torch
from bitsandbytes.nn import Linear4bit

from src.models import loading
from src.models.backends.transformers import compile_layers, load_trainable
from src.models.collation import Row, collate_padded
from src.numerics import seed_everything
from src.params import TrainParams

PAD = 2
BATCHES = ([[20, 30], [25]], [[31, 9], [44, 1]], [[7, 7], [12, 3], [9]])  # lengths of packed records, by batch and row


def packed_row(lengths: list[int]) -> Row:
    tokens = [3 + 7 * place % 900 for place in range(sum(lengths))]
    return {"input_ids": tokens, "labels": tokens, "seq_lengths": lengths}


class Compiled:
    """What torch.compile would have compiled; it runs as it is."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, graph: Any, inputs: object) -> Any:
        self.graphs += 1
        return graph.forward


def trace(model: Any) -> list[Any]:
    """Each batch's loss and gradients."""
    found = []
    for lengths in BATCHES:
        model.zero_grad()
        loss = model(**collate_padded([packed_row(row) for row in lengths], PAD), use_cache=False).loss
        loss.backward()
        weights = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.requires_grad}
        found.append((loss.item(), weights))
    return found


def adapted(base: Path, train: TrainParams) -> Any:
    """A model in training whose adapter does something."""
    seed_everything(1)
    model = load_trainable(base, train)
    if train.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.enable_input_require_grads()
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    return model.train()


QLORA = {"four_bit": True, "gradient_checkpointing": True}


@pytest.mark.parametrize(
    ("changes", "quantised"), [({}, False), (QLORA, False), (QLORA, True)], ids=["lora", "qlora", "qlora as on a GPU"]
)
def test_compiled_layers_give_the_same_losses_and_gradients(
    base_folder: Path,
    train_params: TrainParams,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    quantised: bool,
) -> None:
    if quantised:  # which a CPU's layers are not: they would be slower
        monkeypatch.setattr(loading, "dequantise", lambda model: model)
    train = train_params.model_copy(update=changes)
    plain, model, compiler = adapted(base_folder, train), adapted(base_folder, train), Compiled()
    assert any(isinstance(module, Linear4bit) for module in model.modules()) == quantised
    compile_layers(model, compiler)
    assert [name for name, _ in model.named_parameters()] == [name for name, _ in plain.named_parameters()]
    for (loss, gradients), (expected, expected_gradients) in zip(trace(model), trace(plain), strict=True):
        assert loss == expected
        assert all(gradients[name].equal(expected_gradients[name]) for name in expected_gradients)
    layers = model.config.num_hidden_layers
    assert 0 < compiler.graphs < layers + len(BATCHES)  # shared by the layers, reused at other lengths
