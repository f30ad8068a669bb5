"""Q4_K_M: the types that llama.cpp would choose, the numbers that its own quantiser gives, in a file that it reads."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import MODEL_ARCH, GGMLQuantizationType, GGUFReader, dequantize, quantize

from src.export.gguf import convert_to_gguf
from src.export.k_quants import quantise, tensor_types, write_q4_k_m
from src.files import read_json


def write_both(base: Path, folder: Path) -> tuple[GGUFReader, GGUFReader]:
    """A model in 16 bits and in Q4_K_M."""
    convert_to_gguf(base, folder / "f16.gguf", "f16", "tiny")
    write_q4_k_m(folder / "f16.gguf", read_json(base / "config.json"), folder / "q4_k_m.gguf")
    return GGUFReader(folder / "f16.gguf"), GGUFReader(folder / "q4_k_m.gguf")


def types(reader: GGUFReader) -> dict[str, str]:
    return {tensor.name: tensor.tensor_type.name for tensor in reader.tensors}


def test_what_matters_most_has_six_bits(base_folder: Path, tmp_path: Path) -> None:
    f16, q4_k_m = write_both(base_folder, tmp_path)
    assert list(types(q4_k_m)) == list(types(f16))
    found = types(q4_k_m)
    assert found["token_embd.weight"] == "Q6_K"  # it is the output layer, too
    assert [found[f"blk.{layer}.ffn_down.weight"] for layer in range(3)] == ["Q4_K", "Q4_K", "Q6_K"]
    assert {kind for name, kind in found.items() if "norm" in name} == {"F32"}
    for ours, theirs in zip(q4_k_m.tensors, f16.tensors, strict=True):
        weights = dequantize(theirs.data, theirs.tensor_type)
        assert np.abs(dequantize(ours.data, ours.tensor_type) - weights).mean() < 0.1 * np.abs(weights).mean()


def test_all_that_the_file_tells_but_its_type_is_kept(base_folder: Path, tmp_path: Path) -> None:
    f16, q4_k_m = (
        {field.name: field.contents() for field in reader.fields.values() if not field.name.startswith("GGUF.")}
        for reader in write_both(base_folder, tmp_path)
    )
    assert q4_k_m.pop("general.file_type") != f16.pop("general.file_type")
    assert q4_k_m == f16


def test_layers_count_by_their_number_whatever_order_the_file_has(base_folder: Path, tmp_path: Path) -> None:
    """A file of more than ten layers has them by name, 10 before 2."""
    [tensor] = (one for one in write_both(base_folder, tmp_path)[0].tensors if one.name == "blk.0.attn_v.weight")
    tensors = [tensor._replace(name=f"blk.{layer}.attn_v.weight") for layer in sorted(range(12), key=str)]
    config = read_json(base_folder / "config.json") | {"num_hidden_layers": 12}
    found = tensor_types(tensors, config, MODEL_ARCH.LLAMA)
    longer = [layer for layer in range(12) if found[f"blk.{layer}.attn_v.weight"].name == "Q6_K"]
    assert longer == [0, 3, 6, 9, 10, 11]  # as llama.cpp's use_more_bits chooses


def test_rows_that_fill_no_block_take_wider_types(family_base: Callable[[str], Path], tmp_path: Path) -> None:
    found = types(write_both(family_base("qwen2"), tmp_path)[1])
    assert {kind for name, kind in found.items() if name.endswith("weight") and "norm" not in name} == {"Q5_0", "Q8_0"}


@pytest.mark.parametrize("kind", [GGMLQuantizationType.Q8_0, GGMLQuantizationType.Q5_0])
def test_the_quantiser_is_that_of_llama_cpp(base_folder: Path, tmp_path: Path, kind: Any) -> None:
    """Where the gguf package has one of its own, both give the same bytes."""
    tensor = next(one for one in write_both(base_folder, tmp_path)[0].tensors if "ffn_up" in one.name)
    assert np.array_equal(quantise(tensor, kind), quantize(tensor.data.astype(np.float32), kind))
