"""cloud/*.yaml: SkyPilot itself parses them, finds GPUs in a catalogue of ours, and makes a dry run, all offline.

SkyPilot has an environment of its own, which `make cloud` sets up in .venv-cloud; SKYPILOT_VENV names another.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("SKYPILOT_VENV") or ROOT / ".venv-cloud") / "bin/python"
TASKS = ("sky", "spot")

# A cloud's table of instances, in SkyPilot's columns: what `sky` downloads, with GPUs of 16, 24 and 80 GB.
GPUS = {"RTX4000": 16, "A10": 24, "RTX4090": 24, "A100-80GB": 80}
Instance = tuple[str, str, float, float | None]  # its name, GPU, price an hour, and that of a spot instance
INSTANCES: dict[str, list[Instance]] = {
    "lambda": [("gpu_1x_a10", "A10", 0.75, None)],
    "runpod": [
        ("1x_RTX4000", "RTX4000", 0.2, 0.1),
        ("1x_RTX4090", "RTX4090", 0.69, 0.35),
        ("1x_A100", "A100-80GB", 1.64, 0.82),
    ],
}
COLUMNS = "InstanceType,AcceleratorName,Price,SpotPrice,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Region"
ZONES = {"lambda": "", "runpod": ",AvailabilityZone"}  # a cloud without zones has no such column
REST = {"lambda": "1.0,8.0,64.0,,R", "runpod": "1.0,8.0,64.0,,R,Z"}

needs_skypilot = pytest.mark.skipif(
    not PYTHON.exists() or not shutil.which("rsync"), reason="needs `make cloud`, or SKYPILOT_VENV, and rsync"
)


class DryRun(NamedTuple):
    """What SkyPilot printed of a task."""

    output: str
    task: dict[str, Any]
    chosen: str


def write_catalogue(home: Path) -> None:
    """Writes the tables where SkyPilot keeps those that it has downloaded."""
    offers = {cloud: {gpu for _, gpu, _, _ in rows} for cloud, rows in INSTANCES.items()}
    tables = {
        "common/metadata": ["GPU,MemoryGB,Manufacturer", *(f"{gpu},{size},NVIDIA" for gpu, size in GPUS.items())],
        "common/accelerators": [
            "AcceleratorName,Clouds",
            *(f'{gpu},"{[cloud for cloud, offered in offers.items() if gpu in offered]}"' for gpu in GPUS),
        ],
    }
    for cloud, rows in INSTANCES.items():
        lines = [",".join("" if value is None else str(value) for value in row) for row in rows]
        tables[f"{cloud}/vms"] = [COLUMNS + ZONES[cloud], *(f"{line},{REST[cloud]}" for line in lines)]
    for name, lines in tables.items():
        path = home / f".sky/catalogs/v8/{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([*lines, ""]))


def dry_run(home: Path, task: str, gpus: str) -> DryRun:
    """SkyPilot's dry run of a task of this project."""
    write_catalogue(home)
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "SKYPILOT_DISABLE_USAGE_COLLECTION": "1"}
    if "LD_LIBRARY_PATH" in os.environ:
        environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    ran = subprocess.run(
        [PYTHON, ROOT / "tests/cloud/dry_run.py", f"cloud/{task}.yaml", gpus],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    output = ran.stdout + ran.stderr
    assert ran.returncode == 0, output
    [config], [chosen] = re.findall(r"^TASK (.*)$", output, re.M), re.findall(r"^CHOSEN (.*)$", output, re.M)
    return DryRun(output, json.loads(config), chosen)


@needs_skypilot
def test_the_cheapest_gpu_with_the_memory_is_taken_and_given_back(tmp_path: Path) -> None:
    run = dry_run(tmp_path, "sky", "20GB+")
    assert "Dryrun finished" in run.output
    assert re.search(r"1x_RTX4090.*✔", run.output) and "1x_A100" in run.output and "gpu_1x_a10" in run.output
    assert "planted-secret" not in run.output
    assert "RTX4000" not in run.output  # the cheapest, with 16 GB
    assert run.task["run"].strip() == "bash ~/shelftalk.sh"
    assert run.task["file_mounts"]["~/shelftalk.sh"] == str(ROOT / "cloud/run.sh")
    assert run.task["envs"]["EXPERIMENTS"] == "-S train.lr=3e-5"
    resources = run.task["resources"]
    each = resources.get("any_of", [resources])
    assert all(one.get("autostop", resources.get("autostop"))["down"] for one in each)


@needs_skypilot
def test_a_spot_instance_keeps_its_checkpoints_in_a_bucket(tmp_path: Path) -> None:
    run = dry_run(tmp_path, "spot", "40GB+")
    assert "[Spot]" in run.chosen and "A100-80GB" in run.chosen
    bucket = run.task["file_mounts"][run.task["envs"]["SHELFTALK_CHECKPOINTS"]]
    assert (bucket["name"], bucket["mode"]) == ("our-checkpoints", "MOUNT_CACHED")


@needs_skypilot
def test_what_is_no_task_is_refused(tmp_path: Path) -> None:
    """The parser is one that refuses."""
    with pytest.raises(AssertionError, match="No resource satisfying"):
        dry_run(tmp_path, "sky", "2000GB+")


@pytest.mark.parametrize("task", TASKS)
def test_a_task_names_what_the_script_reads(task: str) -> None:
    config = YAML(typ="safe").load(ROOT / f"cloud/{task}.yaml")
    script = (ROOT / "cloud/run.sh").read_text()
    named = {*config["envs"], *config["secrets"]} - {"MACHINES_WAIT_SECONDS", "SHELFTALK_CHECKPOINTS", "BUCKET"}
    assert {name for name in named if f"${{{name}:" not in script} == set()
    assert all(not value for value in config["secrets"].values())


def test_both_tasks_differ_in_what_spot_instances_need_alone() -> None:
    usual, spot = (YAML(typ="safe").load(ROOT / f"cloud/{task}.yaml") for task in TASKS)
    assert (usual["run"], usual["secrets"]) == (spot["run"], spot["secrets"])
    assert spot["envs"].keys() - usual["envs"].keys() == {"BUCKET", "SHELFTALK_CHECKPOINTS"}
    assert usual["envs"].items() <= spot["envs"].items()
