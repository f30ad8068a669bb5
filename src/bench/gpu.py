"""The whole GPU check in one command: training is right, training is fast, answering is fast.

Covers, on an NVIDIA GPU, both backends against each other (losses, labels, the adapter in plain peft), ours against
plain trl and Unsloth's notebooks at the shapes of Llama-3.2-1B and Llama-3-8B with random weights, and the generate
stage. Each part runs in a process of its own, one after the other, and a part that fails or has no time left is named
as such. Without a GPU it runs the same parts at a small shape, those of Unsloth apart: the CPU half. Needs no network.

    python -m src.bench.gpu                            # at most nine minutes
    python -m src.bench.gpu --only '*8B*' --list       # name parts, only to see which they are

A machine without a network needs, beside PyTorch for CUDA, transformers and accelerate, the wheels of unsloth,
unsloth_zoo, trl, peft, bitsandbytes, datasets and what they need, pydantic, pydantic_core, annotated_types,
typing_inspection and ruamel.yaml.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from threading import Lock
from typing import Any

from src.bench import agreement, answering, contenders
from src.bench.standing import BACKENDS, RESULTS, Results, missing, table
from src.files import read_json, write_json
from src.params import PARAMS, Params, overlay, plain, read_yaml

CPU_RESULTS = Path(".bench/gpu-cpu-half.json")
MINUTES = 9.0
SHORTEST = 20  # seconds that a part needs at least; with less left it is not started
TAIL = 12  # lines kept of what a part that failed said
UNTIMED = ("agreement", "reload")
ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "UNSLOTH_DISABLE_STATISTICS": "1"}
BUILDING = Lock()  # one of the parts that run side by side builds their model

Settings = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """A process to run: its module with an entry; `name` is its place in the results, such as speed/Llama-3-8B/ours."""

    name: str
    command: str
    entry: agreement.Entry | answering.Entry | contenders.Entry
    unsloth: bool = False


def main() -> None:
    """Runs the parts, prints the table, writes the results."""
    arguments = parse_arguments()
    deadline, on_gpu = time.monotonic() + 60 * arguments.minutes, has_gpu()
    folder = arguments.folder.absolute()
    parts = [part for part in all_parts(folder, on_gpu) if fnmatch(part.name, arguments.only)]
    if not parts:
        sys.exit(f"--only {arguments.only!r} names no part: `--list` shows their names.")
    if arguments.list:
        print("\n".join(part.name for part in parts))
        return
    results = bench(folder, parts, on_gpu, deadline)
    target = arguments.results or (RESULTS if on_gpu else CPU_RESULTS)
    write_json(target, results)
    print(f"\n{table(results)}\n\nWritten to {target}.")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m src.bench.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=MINUTES, help="of time for all (default: %(default)s)")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="run the parts whose names match")
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
    return [*agreement_parts(folder, on_gpu), *speed_parts(folder, on_gpu), *answering_parts(folder, on_gpu)]


def agreement_parts(folder: Path, on_gpu: bool) -> list[Part]:
    """Both backends in both precisions on the small model, then each adapter in plain peft."""
    trained, reloaded = [], []
    for backend in BACKENDS:
        for precision, four_bit in {"4-bit": True, "16-bit": False}.items():
            name = f"{backend}/{precision}"
            train = small(on_gpu) | {"backend": backend, "four_bit": four_bit}
            entry = agreement.Entry(str(folder / "small"), train, str(folder / "adapters" / backend / precision))
            unsloth = backend == "unsloth"
            trained.append(Part(f"agreement/{name}", "src.bench.agreement train", entry, unsloth))
            reloaded.append(Part(f"reload/{name}", "src.bench.agreement reload", entry, unsloth))
    return trained + reloaded


def small(on_gpu: bool) -> Settings:
    """Settings for the small model: enough steps for the losses to fall, on rows that hold one record each."""
    return settings("llama-3.2-1b-chat") | {
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


def speed_parts(folder: Path, on_gpu: bool) -> list[Part]:
    """Ours and the others at the settings of recipe A and, for 20 steps, of recipe B; then ours in other ways."""
    if not on_gpu:
        toy = settings("llama-3.2-1b-chat") | {"max_length": 256, "batch_size": 2, "accumulation": 1}
        return contest(folder, "small", toy, seconds=2, records=300)
    recipe_a, recipe_b = settings("llama-3.2-1b-chat"), settings("llama-3-8b")
    one_b = contest(folder, "Llama-3.2-1B", recipe_a, seconds=15, records=20_000)
    eight_b = contest(folder, "Llama-3-8B", recipe_b | {"max_steps": 20}, seconds=60, records=400)
    ways: dict[str, Settings] = {
        "without checkpointing": {"gradient_checkpointing": False},
        "by unsloth": {"backend": "unsloth"},
        "compiled": {"compile": True},
        "padded": {"packing": False},
    }
    entry = one_b[0].entry
    assert isinstance(entry, contenders.Entry)
    others = [
        Part(
            f"speed/Llama-3.2-1B/ours {way}",
            "src.bench.contenders",
            contenders.Entry("ours", entry.base, recipe_a | change, entry.seconds, entry.records),
            unsloth=change.get("backend") == "unsloth",
        )
        for way, change in ways.items()
    ]
    return [*one_b, *eight_b, *others]


def contest(folder: Path, shape: str, train: Settings, seconds: float, records: int) -> list[Part]:
    """Ours, Unsloth's notebook and plain trl on one model, with the same settings."""
    return [
        Part(
            f"speed/{shape}/{contender}",
            "src.bench.contenders",
            contenders.Entry(contender, str(folder / shape), train, seconds, records),
            unsloth=contender == "notebook",
        )
        for contender in ("ours", "notebook", "plain")
    ]


def answering_parts(folder: Path, on_gpu: bool) -> list[Part]:
    """The generate stage with a base in 4 and in 16 bits."""
    shape, size = ("Llama-3.2-1B", (128, 64, 256)) if on_gpu else ("small", (8, 4, 16))
    return [
        Part(f"answering/{precision}", "src.bench.answering", answering.Entry(str(folder / shape), four_bit, *size))
        for precision, four_bit in {"4-bit": True, "16-bit": False}.items()
    ]


def settings(recipe: str) -> Settings:
    """The parameters of training that a recipe gives."""
    merged = overlay(read_yaml(PARAMS), read_yaml(Path(f"recipes/{recipe}.yaml")))
    return Params.model_validate(plain(merged)).train.model_dump()


# How it is run.


def bench(folder: Path, parts: list[Part], on_gpu: bool, deadline: float) -> Results:
    """Everything measured, by the parts' names. What is not timed runs side by side on a GPU."""
    start = time.monotonic()
    results: Results = {"device": call("src.bench.flops", [folder / "device.json"], deadline)}
    for stage, group in groupby(parts, key=lambda part: part.name.partition("/")[0]):
        workers = 4 if on_gpu and stage in UNTIMED else 1
        with ThreadPoolExecutor(workers) as pool:
            results |= pool.map(lambda part: (part.name, run(folder, part, on_gpu, deadline)), list(group))
    return results | {"seconds": round(time.monotonic() - start)}


def run(folder: Path, part: Part, on_gpu: bool, deadline: float) -> Results:
    """A part's measures, or why there are none."""
    if part.unsloth and not (on_gpu and find_spec("unsloth")):
        return report(part, {"not_run": "Unsloth is not installed" if on_gpu else "needs an NVIDIA GPU"})
    if deadline - time.monotonic() < SHORTEST:
        return report(part, {"not_run": "the time was over"})
    base = Path(part.entry.base)
    with BUILDING:
        if not base.exists():
            call("src.bench.workload", [base.name, base], deadline)
    place = folder / "entries" / part.name.replace("/", "-").replace(" ", "-")
    write_json(place.with_suffix(".entry.json"), asdict(part.entry))
    command, *action = part.command.split()
    return report(part, call(command, [*action, f"{place}.entry.json", f"{place}.json"], deadline))


def call(module: str, arguments: Sequence[str | Path], deadline: float) -> Results:
    """What a module of this folder writes as JSON to the file that is its last argument; or how it failed."""
    target = Path(arguments[-1])
    if target.is_file():
        target.unlink()
    command = [sys.executable, "-m", module, *map(str, arguments)]
    try:
        done = subprocess.run(
            command, env=ENVIRONMENT | os.environ, capture_output=True, text=True, timeout=deadline - time.monotonic()
        )
    except subprocess.TimeoutExpired:
        return {"failed": "the time was over while it ran"}
    if done.returncode:
        return {"failed": "\n".join(done.stderr.strip().splitlines()[-TAIL:])}
    return read_json(target) if target.is_file() else {}


def report(part: Part, outcome: Results) -> Results:
    """The outcome, said in a line."""
    speed = outcome.get("records_per_second") or outcome.get("answers_per_second")
    done = f"{speed:,} records a second" if speed else "done"
    print(f"{part.name}: {missing(outcome) or done}", flush=True)
    return outcome


if __name__ == "__main__":
    main()
