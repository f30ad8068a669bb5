"""The whole GPU check in one command: training is right, training is fast, generation is fast.

Covers, on an NVIDIA GPU, both backends against each other (losses, labels, the adapter in plain peft), ours against
plain trl and Unsloth's notebooks at the shapes of Llama-3.2-1B and Llama-3-8B with random weights, whether a training
gives the same adapter again, what takes its time, and the generate stage. Each part runs in a process of its own, the
most important first, and its results are written at once; one that fails or has no time left is named as such, and its
output is in the folder's tasks/. Nine minutes do not suffice for all parts: a second call goes on where the first one
ended. Without a GPU the same parts run at a small shape, except those that need Unsloth. Needs no network.
gpu_pipeline.py runs the pipeline itself.

    python -m benchmarks.gpu                                   # at most nine minutes
    python -m benchmarks.gpu --go-on                           # what they did not suffice for, or what failed
    python -m benchmarks.gpu --go-on earlier.json --results all.json    # as well, with both results in other files
    python -m benchmarks.gpu --only 'speed/*/ours *'           # some parts again; the other results are kept
    python -m benchmarks.gpu --only '*8B*' 'answering/*' --list

A machine without a network needs, beside PyTorch for CUDA, transformers and accelerate, the wheels of unsloth,
unsloth_zoo, trl, peft, bitsandbytes, datasets and what they need, pydantic, pydantic_core, annotated_types,
typing_inspection and ruamel.yaml; and xformers, as Unsloth without it attends record by record on PyTorch 2.11.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from fnmatch import fnmatch
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from threading import Lock

from benchmarks.gpu_parts import VARIANTS, Part, all_parts
from benchmarks.gpu_report import RESULTS, Results, missing_reason, render_table
from benchmarks.process_groups import CommandError, run_in_time
from src.files import read_json, write_json

CPU_RESULTS = Path(".bench/gpu-check-on-cpu.json")
MINUTES = 9.0  # for all parts together
LARGE_SHAPE = "Llama-3-8B"
# Seconds that a part needs at least, by its model; with less left it is not started.
LEAST_SECONDS = {"small": 20, "Llama-3.2-1B": 60, LARGE_SHAPE: 120}
# Seconds a part may take, by its kind: twice what it should need, compiling for half a minute among it.
LIMITS = {"agreement": 240, "reload": 120, "speed": 240, "profile": 240, "repeat": 300, "answering": 120}
LARGE_LIMIT = 360  # seconds for a part of the large shape, whose model is 16 GB
EVERYTHING = ["*"]
SAME_FILE = Path("-")  # of --go-on without a path: what this call writes
UNTIMED = ("agreement", "reload", "repeat")  # kinds whose parts may run side by side, since their speed is not measured
ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "UNSLOTH_DISABLE_STATISTICS": "1"}
ENVIRONMENT["PYTORCH_ALLOC_CONF"] = "expandable_segments:True"  # as the stages set it
MODEL_LOCK = Lock()  # the first of the parts that run side by side makes the model they share
RESULTS_LOCK = Lock()


def main() -> None:
    """Runs the parts, prints the table, writes the results."""
    arguments = parse_arguments()
    deadline, on_gpu = time.monotonic() + 60 * arguments.minutes, has_gpu()
    folder, target = arguments.folder.absolute(), arguments.results or (RESULTS if on_gpu else CPU_RESULTS)
    parts = [part for part in all_parts(folder, on_gpu) if any(fnmatch(part.name, only) for only in arguments.only)]
    if not parts:
        sys.exit(f"--only {' '.join(arguments.only)} names no part: `--list` shows their names.")
    if arguments.list:
        print("\n".join(part.name for part in parts))
        return
    kept = earlier_results(arguments, target)
    if arguments.go_on:
        parts = [part for part in parts if part.name not in kept or missing_reason(kept[part.name])]
    results = run_benchmark(folder, parts, on_gpu, deadline, kept, target)
    print(f"\n{render_table(results)}\n\nWritten to {target}.")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for all parts together (default: %(default)s)")
    parser.add_argument("--only", nargs="+", default=EVERYTHING, metavar="PATTERN", help="run parts of such names")
    parser.add_argument(
        "--go-on", nargs="?", const=SAME_FILE, type=Path, metavar="PATH", help="leave out what has figures in a file"
    )
    parser.add_argument("--list", action="store_true", help="only print the parts' names")
    parser.add_argument("--folder", type=Path, default=Path(".bench/gpu"), help="for models (20 GB with a GPU)")
    parser.add_argument("--results", type=Path, help=f"the JSON file (default: {RESULTS}, or {CPU_RESULTS})")
    return parser.parse_args()


def earlier_results(arguments: argparse.Namespace, target: Path) -> Results:
    """The results of an earlier call that this one adds to; none where it starts anew.

    Args:
        arguments: the command line.
        target: the file that this call writes.

    Raises:
        SystemExit: if --go-on names a file that is not there.
    """
    if arguments.go_on and arguments.go_on != SAME_FILE:
        if not arguments.go_on.is_file():
            sys.exit(f"--go-on {arguments.go_on}: there is no such file; name the results of the earlier call.")
        return read_json(arguments.go_on)
    adds = arguments.go_on or arguments.only != EVERYTHING
    return read_json(target) if adds and target.exists() else {}


def has_gpu() -> bool:
    """Whether PyTorch sees an NVIDIA GPU, asked in a process that ends, so that this one takes none of its memory."""
    code = "import torch, sys; sys.exit(not torch.cuda.is_available())"
    return subprocess.run([sys.executable, "-c", code]).returncode == 0


def run_benchmark(
    folder: Path, parts: list[Part], on_gpu: bool, deadline: float, kept: Results, target: Path
) -> Results:
    """Runs all parts, and writes the results after each one.

    Args:
        folder: for models, tasks and their results.
        parts: in the order in which they run; on a GPU those of an UNTIMED kind run side by side.
        on_gpu: whether there is a GPU.
        deadline: of time.monotonic(), after which no part goes on.
        kept: results of an earlier call, which stay unless their part runs again.
        target: the JSON file.

    Returns:
        The results by the parts' names, those kept among them.
    """
    start = time.monotonic()
    device = call_process("benchmarks.flops", [folder / "device.json"], deadline - start)
    refuse_other_device(kept.get("device", {}), device)
    results = kept | ({"device": device} if "name" in device or "device" not in kept else {})
    write_json(target, results)

    def run_and_keep(part: Part) -> None:
        try:
            outcome = run_part(folder, part, on_gpu, deadline)
        except Exception as error:  # such as of a full disk: it must not end the parts that follow
            outcome = {"failed": f"{type(error).__name__}: {error}"}
        with RESULTS_LOCK:
            results.update({part.name: outcome, "seconds": round(time.monotonic() - start)})
            write_json(target, results)
        print_outcome(part, outcome)

    for kind, group in groupby(parts, key=lambda part: part.kind):
        with ThreadPoolExecutor(len(VARIANTS) if on_gpu and kind in UNTIMED else 1) as pool:
            list(pool.map(run_and_keep, list(group)))
    return results


def refuse_other_device(kept: Results, device: Results) -> None:
    """Figures of two devices in one table would be compared with each other.

    Args:
        kept: the device of the results that this call adds to; empty where there are none.
        device: this one.

    Raises:
        SystemExit: if both are known and are not the same.
    """
    known = [found["name"] for found in (kept, device) if "name" in found]
    if len(set(known)) > 1:
        sys.exit(
            f"The results to add to are of {known[0]}, this is {known[1]}: name another file with --results, and leave "
            "--go-on and --only out to start anew."
        )


def run_part(folder: Path, part: Part, on_gpu: bool, deadline: float) -> Results:
    """Runs a part, after its model is made where that does not exist yet.

    Args:
        folder: for models, tasks and their results.
        part: what to run.
        on_gpu: whether there is a GPU.
        deadline: of time.monotonic().

    Returns:
        Its figures; or why there are none, as `not_run` or `failed`.
    """
    if part.unsloth and not (on_gpu and find_spec("unsloth")):
        return {"not_run": "Unsloth is not installed" if on_gpu else "needs an NVIDIA GPU"}
    base = Path(part.task.base)
    if deadline - time.monotonic() < LEAST_SECONDS.get(base.name, 0):
        return {"not_run": "the time was over"}
    with MODEL_LOCK:
        built = {} if base.exists() else build_model(base, deadline - time.monotonic())
    if "failed" in built:
        return built
    path = folder / "tasks" / re.sub(r"\W+", "-", part.name)
    write_json(f"{path}.task.json", asdict(part.task))
    module, *action = part.command.split()
    limit = LARGE_LIMIT if base.name == LARGE_SHAPE else LIMITS[part.kind]
    seconds = min(limit, deadline - time.monotonic())
    return call_process(module, [*action, f"{path}.task.json", f"{path}.json"], seconds)


def build_model(base: Path, seconds: float) -> Results:
    """Makes the model of a shape with random weights.

    Args:
        base: its folder, named for the shape.
        seconds: that it may take.

    Returns:
        How it failed, as `failed`, or nothing.
    """
    return call_process("benchmarks.workload", [base.name, base], seconds)


def call_process(module: str, arguments: Sequence[str | Path], seconds: float) -> Results:
    """Runs a module of this folder, with its output in a .log beside its result.

    Args:
        module: its dotted name.
        arguments: the last one is the JSON file, or the folder, that it writes.
        seconds: that it may take.

    Returns:
        What it wrote as JSON, nothing if it wrote a folder; or how it failed, as `failed`.
    """
    target = Path(arguments[-1])
    if target.is_file():
        target.unlink()  # an earlier call's result must not pass for this one's
    command = [sys.executable, "-m", module, *map(str, arguments)]
    # Unsloth writes generated code to a folder; processes side by side must not share it.
    environment = ENVIRONMENT | os.environ | {"UNSLOTH_COMPILE_LOCATION": f"{target}.unsloth"}
    try:
        run_in_time(command, target.with_name(f"{target.name}.log"), seconds, environment)
    except CommandError as failure:
        return {"failed": str(failure)}
    return read_json(target) if target.is_file() else {}


def print_outcome(part: Part, outcome: Results) -> None:
    """Prints a line about a part that is done.

    Args:
        part: what was run.
        outcome: its figures, or why there are none.
    """
    rate = outcome.get("records_per_second") or outcome.get("answers_per_second")
    done = f"{rate:,} records a second" if rate else "done"
    print(f"{part.name}: {missing_reason(outcome) or done}", flush=True)


if __name__ == "__main__":
    main()
