"""The attention kernel: what is here, with its reason; what is not is refused."""

import pytest
import torch

from src.errors import UserError
from src.models import attention, refusals
from src.models.attention import Attention, choose_attention, choose_packed_kernel
from src.params import TrainParams

on_a_cpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
ENDS = {"cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k"}
ROW = {"input_ids": [5, 6], "labels": [5, 6], "seq_lengths": [1, 1]}


@on_a_cpu
@pytest.mark.parametrize("packing", [True, False])
@pytest.mark.parametrize(("asked", "taken"), [("auto", "sdpa"), ("sdpa", "sdpa"), ("eager", "eager")])
def test_a_cpu_packs_rows_with_any_of_its_kernels(
    train_params: TrainParams, asked: str, taken: str, packing: bool
) -> None:
    chosen = choose_attention(train_params.model_copy(update={"attention": asked, "packing": packing}))
    assert (chosen.implementation, chosen.packing) == (taken, packing)
    assert chosen.batches(pad_id=2)([ROW, ROW])["input_ids"].shape == (2, 2)


@on_a_cpu
@pytest.mark.parametrize("asked", ["flash_attention_2", "flex_attention", "varlen"])
def test_a_kernel_for_gpus_is_refused_on_a_cpu(train_params: TrainParams, asked: str) -> None:
    with pytest.raises(UserError, match=rf"train\.attention is '{asked}', which trains on an NVIDIA GPU only"):
        choose_attention(train_params.model_copy(update={"attention": asked}))


@on_a_cpu
def test_compiling_is_refused_on_a_cpu(train_params: TrainParams) -> None:
    with pytest.raises(UserError, match=r"train\.compile is true, which needs an NVIDIA GPU"):
        choose_attention(train_params.model_copy(update={"compile": True}))


def test_flash_attention_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="the package flash-attn is not installed"):
        refusals.refuse_kernel("flash_attention_2", on_gpu=True)


def test_varlen_that_pytorch_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention.varlen, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"PyTorch has from version 2\.11 on"):
        refusals.refuse_kernel("varlen", on_gpu=True)


@pytest.mark.parametrize(
    ("installed", "capability", "taken", "packing"),
    [
        ({"varlen", "flash_attn", "triton"}, (8, 0), "varlen", True),
        ({"varlen", "flash_attn", "triton"}, (7, 5), "flash_attention_2", True),
        ({"flash_attn", "triton"}, (9, 0), "flash_attention_2", True),
        ({"triton"}, (9, 0), "flex_attention", True),
        ({"varlen", "triton"}, (7, 5), "sdpa", False),
        (set(), (9, 0), "sdpa", False),
    ],
)
def test_a_gpu_takes_the_best_kernel_that_is_there(
    train_params: TrainParams,
    monkeypatch: pytest.MonkeyPatch,
    installed: set[str],
    capability: tuple[int, int],
    taken: str,
    packing: bool,
) -> None:
    monkeypatch.setattr(attention, "find_spec", lambda name: name if name in installed else None)
    monkeypatch.setattr(attention.varlen, "is_available", lambda: "varlen" in installed)
    chosen = choose_packed_kernel(train_params.model_copy(update={"packing": True}), capability)
    assert (chosen.implementation, chosen.packing) == (taken, packing)
    assert packing or "padded by groups of equal length" in chosen.reason


@pytest.mark.parametrize(
    ("kernel", "names"),
    [
        ("flash_attention_2", ENDS),
        ("varlen", ENDS),
        ("unsloth", {"packed_seq_lengths"}),
    ],
)
def test_packed_rows_are_flat_for_kernels_that_know_where_records_end(kernel: str, names: set[str]) -> None:
    packed, single = (Attention(kernel, packing, "").batches(pad_id=2)([ROW, ROW]) for packing in (True, False))
    assert packed["input_ids"].shape == (1, 4) and single["input_ids"].shape == (2, 2)
    assert set(packed) - set(single) == names


def test_rows_for_flex_attention_are_all_of_one_length(train_params: TrainParams) -> None:
    chosen = attention.registered_kernel(train_params.model_copy(update={"packing": True}), "flex_attention", "")
    assert chosen.batches(pad_id=2)([ROW])["input_ids"].shape == (1, train_params.max_length)


def test_unsloth_packs_by_its_own_kernels(train_params: TrainParams) -> None:
    for packing in (True, False):
        chosen = choose_attention(train_params.model_copy(update={"backend": "unsloth", "packing": packing}))
        assert (chosen.implementation, chosen.packing) == ("unsloth", packing)
