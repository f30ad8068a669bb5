"""The stages with floats on other machines: fewer cores and other instruction sets; what that changes is known.

The project that was reproduced on all cores is computed again on one: under limits that the libraries take from the
environment, which changes nothing, and with other kernels than src/numerics.py fixes, which changes what is named.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from src.certificate.environment import hash_path
from src.certificate.runs import CERTIFICATE, read_file
from tests.scratch import ENVIRONMENT, ROOT, call, copy_project

STAGES = ["sample", "train", "generate@base", "generate@tuned", "generate_few_shot", "export", "generate_exports"]
STAGES += ["evaluate"]

# What in dvc.lock depends on the processor; the table in docs/reproducibility.md says why.
NAMED = {
    "train": {"models/adapter", "data/tables/train", "data/reports/train.json", "metrics/train.json"},
    "generate@base": {"data/generations/base.jsonl"},
    "generate@tuned": {"data/generations/tuned.jsonl"},
    "generate_few_shot": {"data/generations/few_shot.jsonl"},
    "export": {"models/export", "data/tables/export", "data/reports/export.json"},
    "generate_exports": {"data/generations/exports"},
    "evaluate": {"data/tables/evaluate", "data/reports/evaluate.json", "metrics/evaluate.json"},
}

# A processor without AVX-512, as far as a library can be told: the C library and, on Intel's, MKL. The others, told to
# do with less than AVX2 or with one thread, are told otherwise by src/numerics.py.
LIMITED = {
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX512DQ,-ERMS",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "MKL_CBWR": "AUTO",
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OPENBLAS_CORETYPE": "Nehalem",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
# Other kernels than those for AVX2, as another maker's processor may take them.
OTHER_KERNELS = {
    "MKL_CBWR": "COMPATIBLE",
    "ATEN_CPU_CAPABILITY": "default",
    "OPENBLAS_CORETYPE": "Nehalem",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
}

Started = tuple[Path, "subprocess.Popen[str]"]


def start(folder: Path, core: int, environment: dict[str, str], settings: dict[str, str]) -> Started:
    """Starts all stages with floats in a copy of the project."""
    words = [sys.executable, "-m", "tests.certificate.chain", str(core), json.dumps(settings), *STAGES]
    environment = ENVIRONMENT | environment
    stdout, stderr = subprocess.PIPE, subprocess.STDOUT
    return folder, subprocess.Popen(words, cwd=folder, env=environment, text=True, stdout=stdout, stderr=stderr)


@pytest.fixture(scope="module")
def started(reproduced: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Started]:
    """The two machines, which compute side by side on a core each."""
    import torch

    if torch.cuda.is_available():
        pytest.skip("the project was reproduced on a GPU")
    folder, cores = tmp_path_factory.mktemp("machines"), sorted(os.sched_getaffinity(0))
    limited, other = (copy_project(reproduced[0], folder / name) for name in ("limited", "other"))
    return {"limited": start(limited, cores[0], LIMITED, {}), "other": start(other, cores[-1], {}, OTHER_KERNELS)}


def changed_outputs(started: Started) -> dict[str, set[str]]:
    """By stage what it has now written otherwise than dvc.lock has it."""
    folder, process = started
    output, _ = process.communicate()
    assert process.returncode == 0, output
    locked = {name: stage.outputs for name, stage in read_file(str(folder / "dvc.lock")).items()}
    changed = {
        name: {path for path, locked_hash in outputs.items() if hash_path(folder / path) != locked_hash}
        for name, outputs in locked.items()
    }
    return {name: paths for name, paths in changed.items() if paths}


def test_neither_cores_nor_limits_change_a_result(started: dict[str, Started]) -> None:
    assert changed_outputs(started["limited"]) == {}


def test_what_other_kernels_change_is_named(started: dict[str, Started]) -> None:
    changed = changed_outputs(started["other"])
    assert "models/adapter" in changed["train"]  # which the test before would have shown as well
    assert {
        name: paths - NAMED.get(name, set()) for name, paths in changed.items() if paths - NAMED.get(name, set())
    } == {}


def test_every_stage_is_certified_with_where_it_was_computed(reproduced: tuple[Path, str], tmp_path: Path) -> None:
    folder = copy_project(reproduced[0], tmp_path / "project")
    assert "is new for all stages.\n" in call(folder, sys.executable, "-m", "src.certificate", "write")
    stages = json.loads((folder / CERTIFICATE).read_text())["stages"]
    assert sum("torch" in stage["environment"]["libraries"] for stage in stages.values()) >= len(NAMED) - 1
    assert "xllamacpp" in stages["generate_exports"]["environment"]["libraries"]


def test_the_documentation_names_them() -> None:
    text = (ROOT / "docs/reproducibility.md").read_text(encoding="utf-8")
    table = text.partition("| stage | depends on the processor |")[2].partition("\n\n")[0]
    rows = (line.split("|")[1:3] for line in table.splitlines()[2:])
    named = {stage.strip().strip("`"): set(re.findall(r"`([^`]+)`", paths)) for stage, paths in rows}
    assert named == NAMED
