"""The whole GPU check in one command: training is right, training is fast, answering is fast.

Covers, on an NVIDIA GPU, both backends against each other (losses, labels, the adapter in plain peft), ours against
plain trl and Unsloth's notebooks at the shapes of Llama-3.2-1B and Llama-3-8B with random weights, and the generate
stage. Each part runs in a process of its own, one after the other, the most important first, and a part that fails or
has no time left is named as such; what each said is in the folder's entries. Without a GPU the same parts run at a
small shape, those of Unsloth apart: the CPU half. Needs no network.

    python -m benchmarks.gpu                                   # at most nine minutes
    python -m benchmarks.gpu --only 'speed/*/ours *'           # these again, or those without time; the rest is kept
    python -m benchmarks.gpu --only '*8B*' 'answering/*' --list

A machine without a network needs, beside PyTorch for CUDA, transformers and accelerate, the wheels of unsloth,
unsloth_zoo, trl, peft, bitsandbytes, datasets and what they need, pydantic, pydantic_core, annotated_types,
typing_inspection and ruamel.yaml.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from importlib.util import find_spec
from itertools import groupby, product
from pathlib import Path
from threading import Lock
from typing import Any

from benchmarks import backend_agreement, generation_speed, trainers
from benchmarks.gpu_report import BACKENDS, RESULTS, WAYS, Results, missing_parts, render_table
from src.files import read_json, write_json
from src.params import PARAMS, Params, apply_overlay, plain_values, read_yaml

CPU_RESULTS = Path(".bench/gpu-cpu-half.json")
MINUTES = 9.0
SHORTEST = 20  # seconds that a part needs at least; with less left it is not started
LIMITS = {"agreement": 150, "reload": 90, "speed": 120, "answering": 90}  # seconds a part may take
LARGE_LIMIT = 180  # the same for the large shape, whose model is 16 GB
TAIL = 12  # lines kept in the results of what a part that failed said
EVERYTHING = ["*"]
UNTIMED = ("agreement", "reload")
ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "UNSLOTH_DISABLE_STATISTICS": "1"}
BUILDING = Lock()  # one of the parts that run side by side builds their model
WRITING = Lock()

Settings = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """A process to run: its module with an entry; `name` is its place in the results, such as speed/Llama-3-8B/ours."""

    name: str
    command: str
    entry: backend_agreement.Entry | generation_speed.Entry | trainers.Entry
    unsloth: bool = False


def main() -> None:
    """Runs the parts, prints the table, writes the results."""
    arguments = parse_arguments()
    deadline, on_gpu = time.monotonic() + 60 * arguments.minutes, has_gpu()
    folder, target = arguments.folder.absolute(), arguments.results or (RESULTS if on_gpu else CPU_RESULTS)
    parts = [part for part in all_parts(folder, on_gpu) if any(fnmatch(part.name, asked) for asked in arguments.only)]
    if not parts:
        sys.exit(f"--only {' '.join(arguments.only)} names no part: `--list` shows their names.")
    if arguments.list:
        print("\n".join(part.name for part in parts))
        return
    kept = read_json(target) if arguments.only != EVERYTHING and target.exists() else {}
    results = run_benchmark(folder, parts, on_gpu, deadline, kept, target)
    print(f"\n{render_table(results)}\n\nWritten to {target}.")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=MINUTES, help="of time for all (default: %(default)s)")
    parser.add_argument("--only", nargs="+", default=EVERYTHING, metavar="PATTERN", help="run parts of such names")
    parser.add_argument("--list", action="store_true", help="only print the parts' names")
    parser.add_argument("--folder", type=Path, default=Path(".bench/gpu"), help="for models (20 GB with a GPU)")
    parser.add_argument("--results", type=Path, help=f"the JSON file (default: {RESULTS}, or {CPU_RESULTS})")
    return parser.parse_args()


def has_gpu() -> bool:
    """Whether PyTorch sees an NVIDIA GPU, asked in a process that ends, so that this one takes none of its memory."""
    asked = subprocess.run([sys.executable, "-c", "import torch, sys; sys.exit(not torch.cuda.is_available())"])
    return asked.returncode == 0


# What is run, the most important first: time may end before the last.


def all_parts(folder: Path, on_gpu: bool) -> list[Part]:
    """Every part, in the order in which they run."""
    if not on_gpu:
        toy = recipe_settings("llama-3.2-1b-chat") | {"max_length": 256, "batch_size": 2, "accumulation": 1}
        speeds = speed_parts(folder, "small", toy, seconds=2, records=300)
        return [*agreement_parts(folder, on_gpu), *speeds, *answering_parts(folder, on_gpu)]
    recipe_a, recipe_b = recipe_settings("llama-3.2-1b-chat"), recipe_settings("llama-3-8b") | {"max_steps": 20}
    return [
        *agreement_parts(folder, on_gpu),
        *speed_parts(folder, "Llama-3.2-1B", recipe_a, seconds=15, records=20_000),
        *answering_parts(folder, on_gpu),
        *speed_parts(folder, "Llama-3-8B", recipe_b, seconds=60, records=400),
        *other_ways(folder, recipe_a),
    ]


def agreement_parts(folder: Path, on_gpu: bool) -> list[Part]:
    """Both backends on the small model, in both precisions and on packed rows; then each adapter in plain peft."""
    trained, reloaded = [], []
    for backend, (way, change) in product(BACKENDS, WAYS.items()):
        name, unsloth = f"{backend}/{way}", backend == "unsloth"
        train = small_parts(on_gpu) | {"backend": backend} | change
        entry = backend_agreement.Entry(str(folder / "small"), train, str(folder / "adapters" / backend / way))
        trained.append(Part(f"agreement/{name}", "benchmarks.backend_agreement train", entry, unsloth))
        reloaded.append(Part(f"reload/{name}", "benchmarks.backend_agreement reload", entry, unsloth))
    return trained + reloaded


def small_parts(on_gpu: bool) -> Settings:
    """Settings for the small model: enough steps for the losses to fall, on rows that hold one record each."""
    return recipe_settings("llama-3.2-1b-chat") | {
        "packing": False,
        "max_length": 512,
        "batch_size": 16,
        "accumulation": 1,
        "max_steps": 40 if on_gpu else 12,
        "lr": 2e-3,
        "log_steps": 10,
        "eval_steps": 10,
        "save_steps": 1000,
        "gradient_checkpointing": False,
        "optimizer": "adamw_torch",
    }


def speed_parts(folder: Path, shape: str, train: Settings, seconds: float, records: int) -> list[Part]:
    """Ours, Unsloth's notebook and plain trl on one model, with the same settings."""
    return [
        Part(
            f"speed/{shape}/{contender}",
            "benchmarks.trainers",
            trainers.Entry(contender, str(folder / shape), train, seconds, records),
            unsloth=contender == "notebook",
        )
        for contender in ("ours", "notebook", "plain")
    ]


def other_ways(folder: Path, recipe: Settings) -> list[Part]:
    """Ours at the recipe's settings but for one; without checkpointing in half the batch, which fits 80 GB."""
    ways: dict[str, Settings] = {
        "by unsloth": {"backend": "unsloth"},
        "without checkpointing": {"gradient_checkpointing": False, "batch_size": 8, "accumulation": 4},
        "padded": {"packing": False},
        "compiled": {"compile": True},
    }
    base = str(folder / "Llama-3.2-1B")
    return [
        Part(
            f"speed/Llama-3.2-1B/ours {way}",
            "benchmarks.trainers",
            trainers.Entry("ours", base, recipe | change, seconds=15, records=20_000),
            unsloth=way == "by unsloth",
        )
        for way, change in ways.items()
    ]


def answering_parts(folder: Path, on_gpu: bool) -> list[Part]:
    """The generate stage with a base in 4 and in 16 bits."""
    shape, size = ("Llama-3.2-1B", (128, 64, 256)) if on_gpu else ("small", (8, 4, 16))
    return [
        Part(
            f"answering/{precision}",
            "benchmarks.generation_speed",
            generation_speed.Entry(str(folder / shape), four_bit, *size),
        )
        for precision, four_bit in {"4-bit": True, "16-bit": False}.items()
    ]


def recipe_settings(recipe: str) -> Settings:
    """The parameters of training that a recipe gives."""
    merged = apply_overlay(read_yaml(PARAMS), read_yaml(Path(f"recipes/{recipe}.yaml")))
    return Params.model_validate(plain_values(merged)).train.model_dump()


# How it is run.


def run_benchmark(
    folder: Path, parts: list[Part], on_gpu: bool, deadline: float, kept: Results, target: Path
) -> Results:
    """Everything measured, by the parts' names, beside what is kept; written whenever a part is done.

    What is not timed runs side by side on a GPU.
    """
    start = time.monotonic()
    results = kept | {"device": call_process("benchmarks.flops", [folder / "device.json"], deadline - start)}

    def keep(part: Part) -> None:
        outcome = run_part(folder, part, on_gpu, deadline)
        with WRITING:
            results.update({part.name: outcome, "seconds": round(time.monotonic() - start)})
            write_json(target, results)

    for stage, group in groupby(parts, key=lambda part: part.name.partition("/")[0]):
        with ThreadPoolExecutor(len(WAYS) if on_gpu and stage in UNTIMED else 1) as pool:
            list(pool.map(keep, list(group)))
    return results


def run_part(folder: Path, part: Part, on_gpu: bool, deadline: float) -> Results:
    """A part's measures, or why there are none."""
    if part.unsloth and not (on_gpu and find_spec("unsloth")):
        return print_report(part, {"not_run": "Unsloth is not installed" if on_gpu else "needs an NVIDIA GPU"})
    if deadline - time.monotonic() < SHORTEST:
        return print_report(part, {"not_run": "the time was over"})
    base = Path(part.entry.base)
    with BUILDING:
        built = (
            {} if base.exists() else call_process("benchmarks.workload", [base.name, base], deadline - time.monotonic())
        )
    if "failed" in built:
        return print_report(part, built)
    place = folder / "entries" / re.sub(r"\W+", "-", part.name)
    write_json(place.with_suffix(".entry.json"), asdict(part.entry))
    command, *action = part.command.split()
    limit = LARGE_LIMIT if base.name == "Llama-3-8B" else LIMITS[part.name.partition("/")[0]]
    seconds = min(limit, deadline - time.monotonic())
    return print_report(part, call_process(command, [*action, f"{place}.entry.json", f"{place}.json"], seconds))


def call_process(module: str, arguments: Sequence[str | Path], seconds: float) -> Results:
    """What a module of this folder writes as JSON to the file that is its last argument; or how it failed.

    What it says goes to a .log beside that file.
    """
    target = Path(arguments[-1])
    log = target.with_name(f"{target.name}.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    if target.is_file():
        target.unlink()
    command = [sys.executable, "-m", module, *map(str, arguments)]
    # Unsloth writes generated code to a folder; processes side by side must not share it.
    environment = ENVIRONMENT | os.environ | {"UNSLOTH_COMPILE_LOCATION": f"{target}.unsloth"}
    try:
        with log.open("w", encoding="utf-8") as said:
            subprocess.run(command, env=environment, stdout=said, stderr=said, timeout=seconds, check=True)
    except subprocess.TimeoutExpired:
        return {"failed": f"not done after {seconds:.0f} s"}
    except subprocess.CalledProcessError:
        return {"failed": "\n".join(log.read_text(encoding="utf-8").strip().splitlines()[-TAIL:])}
    return read_json(target) if target.is_file() else {}


def print_report(part: Part, outcome: Results) -> Results:
    """The outcome, said in a line."""
    speed = outcome.get("records_per_second") or outcome.get("answers_per_second")
    done = f"{speed:,} records a second" if speed else "done"
    print(f"{part.name}: {missing_parts(outcome) or done}", flush=True)
    return outcome


if __name__ == "__main__":
    main()
