"""Running a command and measuring it, and saying on what machine.

Covers wall time, CPU time and peak memory of a process and those it waits for. Does not know what is run.
"""

import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.errors import UserError


@dataclass(frozen=True)
class ProcessUsage:
    """Wall time and CPU time (user and system, all threads) in seconds, and peak memory in MB."""

    wall_s: float
    cpu_s: float
    peak_mb: int


def measure_command(command: str, folder: Path) -> ProcessUsage:
    """Runs a shell command in a folder.

    Raises:
        UserError: if it fails, with the end of what it wrote.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        shell=True,
        cwd=folder,
        env=python_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise UserError(f"`{command}` failed, so there is nothing to measure:\n{said[-2000:]}")
    return ProcessUsage(round(wall, 2), round(usage.ru_utime + usage.ru_stime, 2), round(usage.ru_maxrss / 1024))


def python_environment() -> dict[str, str]:
    """The environment in which `python` is the one that runs this."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def describe_machine() -> dict[str, Any]:
    """The processor, how many cores of it may be used, and the versions that matter."""
    import polars

    information = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    names = [line.partition(":")[2].strip() for line in information.splitlines() if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "polars": polars.__version__,
    }
