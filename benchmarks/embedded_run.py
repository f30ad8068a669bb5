"""Measures the training of the embedded run on this machine: the train stage as dvc.yaml runs it, and beside it, in the
same run, ours and plain trl for some seconds each, on the same model, prompts and settings.

Needs the results of `dvc repro` up to the audit. Does not measure other stages.

    python -m benchmarks.embedded_run
"""

import argparse
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import trainers
from benchmarks.process_usage import describe_machine, measure_command
from src.errors import UserError
from src.files import read_json, write_json
from src.params import PARAMS, PIPELINE, load_params, read_yaml

RESULTS = Path("metrics/bench/embedded.json")
INPUTS = [*map(Path, ("src", "data/prompts", "models/base", "data/training_plan.json")), PIPELINE, PARAMS]
COMPARED = ("ours", "plain")


def main() -> None:
    """Measures, prints a table, writes RESULTS."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.embedded_run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=20, help="for each contender (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=Path(".bench/embedded"), help="for copies and checkpoints")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the JSON file (default: %(default)s)")
    arguments = parser.parse_args()
    try:
        results = run_benchmark(arguments.folder.absolute(), arguments.seconds)
    except UserError as error:
        sys.exit(str(error))
    write_json(arguments.results, results)
    print(render_table(results))


def run_benchmark(folder: Path, seconds: float) -> dict[str, Any]:
    """Everything measured, one after the other."""
    project = copy_project(folder)
    rates = {name: compare_trainers(folder, project, name, seconds) for name in COMPARED}
    whole = measure_command(
        read_yaml(PIPELINE)["stages"]["train"]["cmd"].replace("${train.launcher}", "python -m"), project
    )
    runtime = read_json(project / "metrics/runtime.json")["train"]
    return {"machine": describe_machine(), "stage": asdict(whole) | runtime, **rates}


def copy_project(folder: Path) -> Path:
    """A folder with the project's code and what the train stage reads.

    Raises:
        UserError: if something is missing.
    """
    project = folder / "project"
    shutil.rmtree(project, ignore_errors=True)
    for name in INPUTS:
        if not name.exists():
            raise UserError(f"{name} is missing: run `dvc repro audit` first.")
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if name.is_dir() else shutil.copyfile)(name, project / name)
    return project


def compare_trainers(folder: Path, project: Path, name: str, seconds: float) -> dict[str, Any]:
    """What a contender did in so many seconds, with the parameters and the prompts of the project."""
    entry, result = folder / f"{name}.entry.json", folder / f"{name}.json"
    prompts = str(project / "data/prompts/train.jsonl")
    train = load_params().train.model_dump()
    write_json(entry, asdict(trainers.Entry(name, str(project / "models/base"), train, seconds, prompts=prompts)))
    measure_command(f"{sys.executable} -m benchmarks.trainers {entry} {result}", Path.cwd())
    return read_json(result)


def render_table(results: dict[str, Any]) -> str:
    """What was measured, as Markdown."""
    stage, machine, ours, plain = (results[name] for name in ("stage", "machine", *COMPARED))
    times = ours["trained_tokens_per_second"] / plain["trained_tokens_per_second"]
    rows = [
        "| embedded run | tokens/s | trained tokens/s | records/s | padding |",
        "|---|---:|---:|---:|---:|",
        table_row("ours", ours),
        table_row("trl, peft and bitsandbytes, padded", plain),
    ]
    return (
        f"{machine['cores']} cores of {machine['processor']}. The train stage trained for "
        f"{stage['training_seconds']:.1f} s (at most 90 are wanted) at {stage['tokens_per_second']:,} tokens a second, "
        f"{stage['samples_per_second']:,} records a second, {stage['wall_s']:.0f} s in all, and "
        f"{stage['peak_mb']:,} MB. For {ours['seconds']:.0f} s each, ours against plain trl: {times:.1f} times the "
        "trained tokens a second.\n\n" + "\n".join(rows)
    )


def table_row(name: str, part: dict[str, Any]) -> str:
    """A row of the table."""
    rates = " | ".join(f"{part[f'{unit}_per_second']:,.0f}" for unit in ("tokens", "trained_tokens", "records"))
    return f"| {name} | {rates} | {part['padding_share']:.0%} |"


if __name__ == "__main__":
    main()
