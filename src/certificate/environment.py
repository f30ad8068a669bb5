"""Where a stage was computed: device, driver, libraries, and whether the same inputs give the same bytes again there.

Covers describing the process that computes, and keeping that in an ignored folder, with the hashes of what the stage
wrote, until a certificate takes it over. Does not import what it describes: what the stage has loaded counts.
"""

import os
import platform
import sys
from collections.abc import Iterable, Iterator
from hashlib import file_digest, md5
from importlib.metadata import PackageNotFoundError, version
from json import dumps
from pathlib import Path
from typing import Any

from src.certificate.refusals import say_unrecorded
from src.files import read_json, write_json
from src.numerics import THREADS
from src.training.evidence import processor_name

RECORDS = Path(".certificate")  # a file for each stage; git ignores the folder
DRIVER = Path("/proc/driver/nvidia/version")
OWN_KERNELS = ("bitsandbytes", "unsloth", "xformers")  # which torch.use_deterministic_algorithms does not ask
SERVICE = "openai"  # the client that is loaded where a service is asked, and nowhere else

# The libraries that compute, by the module's name: the package's.
LIBRARIES = {
    "accelerate": "accelerate",
    "bitsandbytes": "bitsandbytes",
    "gguf": "gguf",
    "numpy": "numpy",
    "peft": "peft",
    "polars": "polars",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "tokenizers": "tokenizers",
    "torch": "torch",
    "transformers": "transformers",
    "trl": "trl",
    "unsloth": "unsloth",
    "xllamacpp": "xllamacpp",
}

# What a processor may have beyond AVX2, as Linux names it: the widest of its instructions that floats depend on.
INSTRUCTIONS = {"avx512f": "AVX-512", "avx2": "AVX2", "avx": "AVX", "asimd": "NEON"}

Environment = dict[str, Any]


def describe_environment() -> Environment:
    """Where this process computes, by what it has loaded so far."""
    gpu = used_gpu()
    reasons = list(doubts(gpu is not None))
    return {
        "deterministic": not reasons,
        **({"because": "; ".join(reasons)} if reasons else {}),
        "processor": processor_name(),
        "instructions": widest_instructions(),
        "cores": available_cores(),
        "threads": THREADS,
        "mkl": os.environ.get("MKL_CBWR", "AUTO"),
        **(gpu or {}),
        "system": " ".join([platform.system(), *platform.libc_ver()]).strip(),
        "python": platform.python_version(),
        "libraries": loaded_libraries(),
    }


def used_gpu() -> Environment | None:
    """The GPU that this process has used, with its driver and CUDA's version; None where it used none."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    return {"gpu": torch.cuda.get_device_name(), "driver": driver_version(), "cuda": str(torch.version.cuda)}


def driver_version() -> str:
    """The version of NVIDIA's driver, as Linux tells it: the word after `Kernel Module`."""
    words = DRIVER.read_text(encoding="utf-8").splitlines()[0].split() if DRIVER.is_file() else []
    return next((word for word in words if word[0].isdigit() and "." in word), "unknown")


def doubts(on_gpu: bool) -> Iterator[str]:
    """Why the same inputs may give other bytes, even in this environment.

    Args:
        on_gpu: whether a GPU computed.
    """
    torch = sys.modules.get("torch")
    if on_gpu and torch is not None and not torch.are_deterministic_algorithms_enabled():
        yield "some kernels of a GPU add in no fixed order"
    elif on_gpu and (others := [name for name in OWN_KERNELS if name in sys.modules]):
        yield f"kernels of a GPU that are not PyTorch's ({', '.join(others)}) may add in no fixed order"
    if SERVICE in sys.modules:
        yield "a service answered"


def widest_instructions() -> str:
    """The widest vector instructions that the processor has, which says more than some virtual machines' names do."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    flags = set(next((line.split() for line in lines if line.startswith(("flags", "Features"))), []))
    return next((name for flag, name in INSTRUCTIONS.items() if flag in flags), platform.machine() or "unknown")


def available_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def loaded_libraries() -> dict[str, str]:
    """The versions of the libraries that compute, of those that this process has loaded."""
    found: dict[str, str] = {}
    for module, package in LIBRARIES.items():
        if module in sys.modules:
            try:
                found[package] = version(package)
            except PackageNotFoundError:  # a module of that name that no package brought
                found[package] = "unknown"
    return found


def record_environment(stage: str, outputs: Iterable[str]) -> None:
    """Keeps where a stage was computed; where that cannot be done, it says so and no more.

    Args:
        stage: its name, with its variant.
        outputs: files and folders that it has written. Their hashes tell later whether results are still this run's:
            DVC may have brought others back since, from its cache.
    """
    try:
        hashes = {path: hash_path(Path(path)) for path in outputs}
        write_json(RECORDS / f"{stage}.json", {"outputs": hashes, "environment": describe_environment()})
    except (OSError, ValueError) as error:
        say_unrecorded(stage, error)


def recorded_environment(stage: str, outputs: dict[str, str]) -> Environment | None:
    """Where a stage's results were computed; None where the last run here did not give them, or left no record.

    Args:
        stage: its name, with its variant.
        outputs: the hashes of its results by path.
    """
    try:
        record = read_json(RECORDS / f"{stage}.json")
        return dict(record["environment"]) if record["outputs"] == outputs else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def hash_path(path: Path) -> str:
    """The hash of a file or folder, as dvc.lock has it."""
    return hash_folder(path) if path.is_dir() else hash_file(path)


def hash_file(path: Path) -> str:
    """The MD5 of a file's bytes."""
    with open(path, "rb") as file:
        return file_digest(file, "md5").hexdigest()


def hash_folder(folder: Path) -> str:
    """DVC's digest of a folder: of its files' hashes, in the order of their paths."""
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    rows = [{"md5": hash_file(folder / file), "relpath": file} for file in files]
    return f"{md5(dumps(rows).encode()).hexdigest()}.dir"
