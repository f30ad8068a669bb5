"""Floats that come out the same on another machine, as far as a CPU allows it.

Covers the number of threads, the instruction set and the seeds; on a GPU the kernels that add in a fixed order, where
they are asked for. Without them two runs on a GPU agree within rounding only, and two models of GPU do so always.
"""

import os

THREADS = 2  # sums are split over threads, so their number is part of the result

CPU_SETTINGS = {
    "OMP_NUM_THREADS": str(THREADS),
    "MKL_NUM_THREADS": str(THREADS),
    # Turns that a waiting thread spins before it sleeps: training is a quarter faster than without, and 12% slower on a
    # busy machine, where a spinning thread takes the other one's core. With many more it is half as fast there.
    "GOMP_SPINCOUNT": "2000",
    "MKL_DYNAMIC": "FALSE",  # else MKL takes fewer threads where it sees fewer cores
    "MKL_CBWR": "AVX2",  # the same kernels on every Intel processor with AVX2; AMD's take their own, whatever is set
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",  # NumPy's and SciPy's products: the kernels for AVX2
    "OPENBLAS_NUM_THREADS": "1",  # which takes fewer threads where it sees fewer cores, as no setting forbids
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",  # NumPy's logarithm by AVX-512 rounds otherwise
    "TOKENIZERS_PARALLELISM": "false",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}

EQUAL_KERNELS = "COMPATIBLE"  # MKL's kernels for all processors: the same products on Intel's and AMD's, slower


def fix_cpu() -> None:
    """Sets what the numeric libraries read when they load; call it before torch is imported.

    A user may set MKL_CBWR=COMPATIBLE, to compare runs of processors of two makers.
    """
    kernels = {"MKL_CBWR": EQUAL_KERNELS} if os.environ.get("MKL_CBWR") == EQUAL_KERNELS else {}
    os.environ.update(CPU_SETTINGS | kernels)


def seed_everything(seed: int, deterministic: bool = False) -> None:
    """Seeds every generator that training draws from, and fixes the order of sums on the CPU.

    Args:
        seed: of all of them.
        deterministic: whether to fix it on a GPU, too; PyTorch then refuses the kernels that cannot.
    """
    import torch
    from transformers import set_seed

    set_seed(seed)
    on_gpu = torch.cuda.is_available()
    if not on_gpu:
        torch.set_num_threads(THREADS)
    if deterministic or not on_gpu:
        torch.use_deterministic_algorithms(True)
        # Filling memory before it is written finds faults in kernels, and takes 7% of a training step.
        setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)  # noqa: B010
