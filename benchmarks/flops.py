"""Floating-point operations of training an adapter, and the rate at which a device multiplies matrices.

Covers Llama's layers with LoRA on all seven linear maps. Operations that a program does twice (gradient checkpointing)
or for nothing (padding, logits of prompts) are not counted: utilisation is the share of the device's rate that was
useful.

    python -m benchmarks.flops DEVICE.json
"""

import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from src.files import write_json
from src.training.memory import adapter_weights, linear_layers

MATRIX_SIZE = 8192  # rows and columns: large enough for a GPU to reach its full rate
REPEATS = 50
CPU_SIZE, CPU_REPEATS = MATRIX_SIZE // 8, 5  # seconds instead of minutes
PACKAGES = ("torch", "transformers", "trl", "peft", "bitsandbytes", "accelerate", "unsloth", "triton")


def main() -> None:
    """Writes the device's name, how fast it multiplies, and the versions of the packages that matter."""
    import torch

    on_gpu = torch.cuda.is_available()
    device = {
        "name": torch.cuda.get_device_name() if on_gpu else "CPU",
        "matrix": "bfloat16" if on_gpu else "float32",
        "matrix_tflops": round(matrix_flops() / 1e12, 3),
        "versions": dict(package_versions()),
    }
    write_json(Path(sys.argv[1]), device)


def package_versions() -> Iterator[tuple[str, str]]:
    """The versions of the packages that are installed."""
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            yield package, version(package)


def training_flops(config: dict[str, Any], rank: int, tokens: int, trained: int, squares: float) -> float:
    """Counts the operations of forward and backward passes over some records.

    A product with a weight takes two operations a weight and token, its gradient with respect to the input as many,
    that with respect to the weight as many again (Kaplan et al. 2020, "Scaling Laws for Neural Language Models",
    section 2.1); base weights are frozen and have none. A causal query meets every second key on average: attention
    takes 2 x width x length^2 / 2 for the scores, as many for their sums, and twice that backward.

    Args:
        config: a Llama's config.json.
        rank: LoRA's r.
        tokens: of all records together.
        trained: those of them that are in the loss.
        squares: the sum of the records' squared lengths.

    Returns:
        Floating-point operations.
    """
    layers, hidden = config["num_hidden_layers"], config["hidden_size"]
    frozen = layers * sum(width_in * width_out for width_in, width_out in linear_layers(config))
    query_width = linear_layers(config)[0][1]
    linear = tokens * (4 * frozen + 6 * adapter_weights(config, rank))
    head = trained * 4 * config["vocab_size"] * hidden
    return linear + head + 6 * layers * query_width * squares


def matrix_flops() -> float:
    """Operations a second of a matrix product on random numbers: in bfloat16 on a GPU, in float32 on a CPU."""
    import torch

    on_gpu = torch.cuda.is_available()
    size, repeats = (MATRIX_SIZE, REPEATS) if on_gpu else (CPU_SIZE, CPU_REPEATS)
    dtype, device = (torch.bfloat16, "cuda") if on_gpu else (torch.float32, "cpu")
    left, right = (torch.randn(size, size, dtype=dtype, device=device) for _ in range(2))
    for _ in range(3):  # the first products choose kernels and allocate memory
        left @ right
    synchronize()
    start = time.perf_counter()
    for _ in range(repeats):
        left @ right
    synchronize()
    return repeats * 2 * size**3 / (time.perf_counter() - start)


def synchronize() -> None:
    """Waits until the GPU, if there is one, has finished: its kernels run behind the Python code that starts them."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
