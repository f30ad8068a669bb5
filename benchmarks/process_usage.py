"""Runs a command and measures it, and describes the machine it ran on.

Covers wall time, CPU time and peak memory of a process and the processes it waits for. Does not know what is run.
"""

import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from src.errors import UserError
from src.training.evidence import processor_name

ERROR_CHARS = 2000  # shown of a failed command's output: its end, where the reason is


@dataclass(frozen=True)
class ProcessUsage:
    """Wall time and CPU time (user and system, all threads) in seconds, and peak memory in MB (2^20 bytes)."""

    wall_s: float
    cpu_s: float
    peak_mb: int


def measure_command(command: str, folder: Path) -> ProcessUsage:
    """Runs a shell command.

    Args:
        command: as typed into a shell.
        folder: the working directory.

    Returns:
        What it used.

    Raises:
        UserError: if it fails, with the end of its error output.
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
    errors = process.stderr.read()  # to its end before the wait: a command blocks on a full pipe
    _, status, usage = os.wait4(process.pid, 0)  # unlike Popen.wait it gives the usage of this one process
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise UserError(f"`{command}` failed, so there is nothing to measure:\n{errors[-ERROR_CHARS:]}")
    return ProcessUsage(round(wall, 2), round(usage.ru_utime + usage.ru_stime, 2), round(usage.ru_maxrss / 1024))


def own_peak_mb() -> int:
    """This process's peak memory in MB, by Linux; what wait4 tells of a child is at least its parent's."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return round(int(status.split("VmHWM:")[1].split()[0]) / 1024)


def python_environment() -> dict[str, str]:
    """The environment in which `python` is the interpreter that runs this."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def describe_machine() -> dict[str, str | int]:
    """The processor, how many of its cores may be used, and the versions that matter."""
    import polars

    return {
        "processor": processor_name(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "polars": polars.__version__,
    }
