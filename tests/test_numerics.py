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


def test_a_gpus_kernels_add_in_a_fixed_order_only_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    before = torch.are_deterministic_algorithms_enabled()
    try:
        torch.use_deterministic_algorithms(False)
        numerics.seed_everything(0)
        assert not torch.are_deterministic_algorithms_enabled()
        numerics.seed_everything(0, deterministic=True)
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(before)


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


@pytest.mark.parametrize(
    ("asked", "fixed"), [("COMPATIBLE", "COMPATIBLE"), ("AVX512", "AVX2"), (None, "AVX2")], ids=str
)
def test_of_mkls_kernels_only_those_for_all_makers_can_be_chosen(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, fixed: str
) -> None:
    monkeypatch.setattr(os, "environ", {"MKL_CBWR": asked} if asked else {})
    numerics.fix_cpu()
    assert os.environ["MKL_CBWR"] == fixed


def test_numpy_computes_by_the_instructions_and_threads_that_are_fixed() -> None:
    code = (
        "from src import numerics; numerics.fix_cpu()\n"
        "import scipy.linalg\n"
        "from threadpoolctl import threadpool_info\n"
        "from numpy._core._multiarray_umath import __cpu_features__ as features\n"
        "pools = [pool for pool in threadpool_info() if pool['internal_api'] == 'openblas']\n"
        "print(len(pools), {(pool['architecture'], pool['num_threads']) for pool in pools}, features['X86_V4'])"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_CORETYPE": "Nehalem", "OPENBLAS_NUM_THREADS": "2"}
    words = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "2 {('Haswell', 1)} False\n"
    assert done.stderr == ""
