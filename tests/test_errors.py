"""Full memory, and kernels without an order, are distinguished from other errors."""

import pytest
import torch

from src.errors import is_out_of_memory, unordered_kernel


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_a_full_memory_is_known_by_its_type(error: BaseException) -> None:
    assert is_out_of_memory(error)


def test_a_full_memory_is_known_by_torchs_message_on_a_cpu() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)  # more than the machine can address
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize("error", [RuntimeError("size mismatch"), OSError("disk full"), KeyboardInterrupt()])
def test_other_errors_are_neither(error: BaseException) -> None:
    assert not is_out_of_memory(error)
    assert unordered_kernel(error) is None
