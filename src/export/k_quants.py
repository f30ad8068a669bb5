"""Q4_K_M: a GGUF with most weights in 4 bits, and those that matter most in 6, as llama.cpp mixes them.

Covers the type of each tensor, by the table that auto-round keeps of llama.cpp's rules, and its numbers, by llama.cpp's
own quantiser in xllamacpp's library: the gguf package reads K-quants and writes none. Needs no compiler.
"""

import ctypes
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, ReaderTensor

# What llama.cpp takes where a row is no multiple of the 256 weights of a block; blocks of these have 32.
NARROW_TYPES = {"Q4_K": "Q5_0", "Q6_K": "Q8_0"}


def write_q4_k_m(source: Path, config: dict[str, Any], target: Path) -> None:
    """Writes a 16-bit GGUF again in Q4_K_M, a tensor at a time.

    Args:
        source: the 16-bit GGUF.
        config: the model's, as transformers keeps it.
        target: the file to write.
    """
    import gguf

    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.fields[gguf.Keys.General.ARCHITECTURE].contents())
    copy_metadata(reader, writer)
    types = tensor_types(reader.tensors, config, gguf.MODEL_ARCH[writer.arch.upper()])
    for tensor in reader.tensors:
        written = empty_tensor(tensor, types[tensor.name])
        writer.add_tensor_info(tensor.name, written.shape, written.dtype, written.nbytes, types[tensor.name])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in reader.tensors:
        writer.write_tensor_data(quantise(tensor, types[tensor.name]))
    writer.close()


def copy_metadata(reader: "GGUFReader", writer: "GGUFWriter") -> None:
    """Copies what a GGUF tells about its model, tokenizer and template, but for its file type.

    Args:
        reader: of the 16-bit file.
        writer: of the other one, which has the architecture.
    """
    import gguf

    for field in reader.fields.values():
        if field.name != gguf.Keys.General.ARCHITECTURE and not field.name.startswith("GGUF."):
            kinds = field.types
            writer.add_key_value(field.name, field.contents(), kinds[0], kinds[-1] if len(kinds) > 1 else None)
    writer.kv_data[0].pop(gguf.Keys.General.FILE_TYPE, None)  # written a second time it would warn
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_K_M)


def tensor_types(
    tensors: "list[ReaderTensor]", config: dict[str, Any], architecture: Any
) -> "dict[str, GGMLQuantizationType]":
    """The type that each tensor gets in Q4_K_M, by its name.

    Args:
        tensors: of the 16-bit GGUF.
        config: the model's, as transformers keeps it.
        architecture: the gguf package's name of it.
    """
    import gguf
    from auto_round.export.export_to_gguf.gguf_dtype import GGUFDTypeSelector

    layers, tied = config["num_hidden_layers"], "output.weight" not in {tensor.name for tensor in tensors}
    file_type = gguf.LlamaFileType.MOSTLY_Q4_K_M
    selector = GGUFDTypeSelector(config, file_type, architecture, layers, layers, has_tied_embeddings=tied)
    ordered = sorted(tensors, key=lambda tensor: layer_number(tensor.name))  # it counts the layers that it is asked for
    chosen = {tensor.name: selector.select_qtype(tensor.name, len(tensor.data.shape)) for tensor in ordered}
    return {tensor.name: fitting_type(tensor, chosen[tensor.name]) for tensor in tensors}


def layer_number(name: str) -> int:
    """The layer that a tensor belongs to; -1 for one outside the layers."""
    found = re.match(r"blk\.(\d+)\.", name)
    return int(found[1]) if found else -1


def fitting_type(tensor: "ReaderTensor", kind: "GGMLQuantizationType") -> "GGMLQuantizationType":
    """A type whose blocks fill the rows of a tensor: the one that is wanted, a wider one, or the tensor's own.

    Args:
        tensor: of the 16-bit GGUF.
        kind: the type that is wanted.
    """
    import gguf

    narrow = gguf.GGMLQuantizationType[NARROW_TYPES.get(kind.name, kind.name)]
    fitting = (each for each in (kind, narrow) if tensor.data.shape[-1] % gguf.GGML_QUANT_SIZES[each][0] == 0)
    return next(fitting, tensor.tensor_type)


def quantise(tensor: "ReaderTensor", kind: "GGMLQuantizationType") -> "np.ndarray":
    """A tensor of 16 or 32 bits in another type, as bytes.

    Args:
        tensor: its rows fill blocks of that type.
        kind: the type; the tensor's own leaves it as it is.
    """
    if kind == tensor.tensor_type:
        return tensor.data
    weights, written = tensor.data.astype("float32"), empty_tensor(tensor, kind)
    rows, row = weights.size // weights.shape[-1], weights.shape[-1]
    quantiser()(kind, weights.ctypes.data, written.ctypes.data, 0, rows, row, None)
    return written


def empty_tensor(tensor: "ReaderTensor", kind: "GGMLQuantizationType") -> "np.ndarray":
    """Room for a tensor in another type; arguments as of `quantise`."""
    import gguf
    import numpy as np

    if kind == tensor.tensor_type:
        return tensor.data
    return np.empty(gguf.quant_shape_to_byte_shape(tensor.data.shape, kind), np.uint8)


@cache
def quantiser() -> Any:
    """ggml_quantize_chunk of ggml.h: type, weights, result, first row, rows, weights of a row, their importance."""
    from xllamacpp import xllamacpp

    function = ctypes.CDLL(xllamacpp.__spec__.origin).ggml_quantize_chunk
    pointer, count = ctypes.c_void_p, ctypes.c_int64
    function.argtypes = [ctypes.c_int, pointer, pointer, count, count, count, pointer]
    function.restype = ctypes.c_size_t
    return function
