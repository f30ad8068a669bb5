"""Backends: chosen by name, refused where they cannot run; the 4-bit base computes exactly and passes gradients on."""

from pathlib import Path
from typing import Any

import pytest
import torch

from src.errors import UserError
from src.models import backends
from src.models.backends.transformers import compute_dtype, load_base, load_trainable
from src.numerics import seed_everything
from src.params import TrainParams

TOKENS = torch.arange(1, 40)[None]
on_a_cpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


def test_transformers_runs_everywhere() -> None:
    assert callable(backends.get("transformers").load_trainable)


@on_a_cpu
def test_unsloth_is_refused_without_a_gpu() -> None:
    with pytest.raises(UserError, match=r"train\.backend is 'unsloth', which needs an NVIDIA GPU"):
        backends.get("unsloth")


@on_a_cpu
def test_products_are_exact_on_a_cpu(base_folder: Path) -> None:
    assert compute_dtype() == torch.float32
    model = load_base(base_folder, four_bit=True).eval()
    with torch.no_grad():
        quantised = model(TOKENS).logits  # bitsandbytes has a kernel that rounds, for some processors
        dequantised = model.dequantize()(TOKENS).logits
    assert torch.allclose(quantised, dequantised, atol=1e-5)


def gradients(base: Path, train: TrainParams, measured: bool) -> dict[str, Any]:
    """The adapter's gradients, after a forward pass in evaluation mode or without one."""
    seed_everything(1)
    model = load_trainable(base, train)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    if measured:
        with torch.no_grad():
            model.eval()(TOKENS)
    model.train()(input_ids=TOKENS, labels=TOKENS).loss.backward()
    return {name: weight.grad for name, weight in model.named_parameters() if weight.requires_grad}


@pytest.mark.parametrize("four_bit", [True, False])
def test_measuring_a_loss_changes_no_gradient(base_folder: Path, train_params: TrainParams, four_bit: bool) -> None:
    train = train_params.model_copy(update={"four_bit": four_bit})
    fresh, measured = (gradients(base_folder, train, measured) for measured in (False, True))
    assert [name for name in fresh if not torch.allclose(fresh[name], measured[name], rtol=1e-3, atol=1e-6)] == []
