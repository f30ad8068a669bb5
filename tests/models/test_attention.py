"""The attention kernel: what is here, with its reason; what is not is refused."""

import pytest
import torch

from src.errors import UserError
from src.models import attention
from src.models.attention import choose, packed_on_gpu
from src.models.batches import flatten
from src.params import TrainParams

on_a_cpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
ROW = {"input_ids": [5, 6], "labels": [5, 6], "seq_lengths": [1, 1]}


@on_a_cpu
@pytest.mark.parametrize("packing", [True, False])
@pytest.mark.parametrize(("asked", "taken"), [("auto", "sdpa"), ("sdpa", "sdpa"), ("eager", "eager")])
def test_a_cpu_packs_rows_with_any_of_its_kernels(
    train_params: TrainParams, asked: str, taken: str, packing: bool
) -> None:
    chosen = choose(train_params.model_copy(update={"attention": asked, "packing": packing}))
    assert (chosen.implementation, chosen.packing) == (taken, packing)
    assert chosen.batches(pad_id=2)([ROW, ROW])["input_ids"].shape == (2, 2)


@on_a_cpu
@pytest.mark.parametrize("asked", ["flash_attention_2", "flex_attention"])
def test_a_kernel_for_gpus_is_refused_on_a_cpu(train_params: TrainParams, asked: str) -> None:
    with pytest.raises(UserError, match=rf"train\.attention is '{asked}', which trains on an NVIDIA GPU only"):
        choose(train_params.model_copy(update={"attention": asked}))


@on_a_cpu
def test_compiling_is_refused_on_a_cpu(train_params: TrainParams) -> None:
    with pytest.raises(UserError, match=r"train\.compile is true, which needs an NVIDIA GPU"):
        choose(train_params.model_copy(update={"compile": True}))


def test_flash_attention_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="the package flash-attn is not installed"):
        attention.refuse("flash_attention_2", on_gpu=True)


@pytest.mark.parametrize(
    ("installed", "capability", "taken", "packing"),
    [
        ({"flash_attn", "triton"}, (9, 0), "flash_attention_2", True),
        ({"triton"}, (9, 0), "flex_attention", True),
        ({"triton"}, (7, 5), "sdpa", False),
        (set(), (9, 0), "sdpa", False),
    ],
)
def test_a_gpu_takes_the_best_kernel_that_is_there(
    monkeypatch: pytest.MonkeyPatch, installed: set[str], capability: tuple[int, int], taken: str, packing: bool
) -> None:
    monkeypatch.setattr(attention, "find_spec", lambda name: name if name in installed else None)
    chosen = packed_on_gpu(capability)
    assert (chosen.implementation, chosen.packing) == (taken, packing)
    assert (chosen.batches(pad_id=2) is flatten) == (taken == "flash_attention_2")
    assert packing or "padded by groups of equal length" in chosen.reason
