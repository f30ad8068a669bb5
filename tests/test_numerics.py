"""Threads and seeds: the same numbers again, in any environment."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from src import numerics

ROOT = Path(__file__).parents[1]


def draw() -> list[float]:
    """A number from every generator that training draws from."""
    import random

    import numpy
    import torch

    return [random.random(), float(numpy.random.rand()), torch.rand(1).item()]


def test_the_same_seed_draws_the_same_numbers() -> None:
    numerics.seed_everything(3)
    first = draw()
    assert draw() != first
    numerics.seed_everything(3)
    assert draw() == first
    numerics.seed_everything(4)
    assert not set(draw()) & set(first)


def test_threads_and_kernels_do_not_depend_on_the_environment() -> None:
    code = (
        "from src import numerics; numerics.fix_cpu(); numerics.seed_everything(0)\n"
        "import torch\n"
        "assert torch.cuda.is_available() or torch.are_deterministic_algorithms_enabled()\n"
        "print(torch.get_num_threads(), torch.backends.cpu.get_cpu_capability(), torch.cuda.is_available())"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "ATEN_CPU_CAPABILITY": "default"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    threads, capability, gpu = done.stdout.split()
    if gpu == "True":
        pytest.skip("on a GPU the CPU's threads are left as they are")
    assert (threads, capability) == (str(numerics.THREADS), "AVX2")
