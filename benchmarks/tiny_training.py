"""Measures the training of the tiny model on this machine: the train stage as dvc.yaml runs it, ours and plain trl.

The compared trainers run for some seconds each, in the same session, on the same model, prompts and settings. Needs the
results of `dvc repro audit` with the parameters as they are committed. Does not measure other stages.

    python -m benchmarks.tiny_training
"""

import argparse
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.process_usage import describe_machine, measure_command
from benchmarks.training_speed import TrainingTask
from src.errors import UserError
from src.files import read_json, write_json
from src.params import PARAMS, PIPELINE, load_params, read_yaml

RESULTS = Path("benchmarks/results/tiny_training.json")
INPUTS = [*map(Path, ("src", "data/prompts", "models/base", "data/training_plan.json")), PIPELINE, PARAMS]
COMPARED = ("ours", "plain")  # keys of trainers.TRAINERS
SECONDS = 20  # for each compared trainer, after its warm-up

Results = dict[str, Any]  # the JSON object of RESULTS


def main() -> None:
    """Measures, prints a table, writes RESULTS."""
    arguments = parse_arguments()
    try:
        results = run_benchmark(arguments.folder.absolute(), arguments.seconds)
    except UserError as error:
        sys.exit(str(error))
    write_json(arguments.results, results)
    print(render_table(results))


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tiny_training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each trainer (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=Path(".bench/tiny-model"), help="for copies and checkpoints")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the JSON file (default: %(default)s)")
    return parser.parse_args()


def run_benchmark(folder: Path, seconds: float) -> Results:
    """Measures the compared trainers, then the train stage.

    Args:
        folder: for copies and checkpoints.
        seconds: of training, for each compared trainer.

    Returns:
        All figures, as RESULTS holds them.
    """
    project = copy_project(folder)
    rates = {name: measure_trainer(folder, project, name, seconds) for name in COMPARED}
    command = read_yaml(PIPELINE)["stages"]["train"]["cmd"]
    usage = measure_command(command, project)
    runtime = read_json(project / "runtime.json")["train"]
    return {"machine": describe_machine(), "stage": asdict(usage) | runtime, **rates}


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


def measure_trainer(folder: Path, project: Path, name: str, seconds: float) -> Results:
    """Measures one trainer with the parameters and the prompts of the project.

    Args:
        folder: for the task and its result.
        project: the copy of the project.
        name: a key of trainers.TRAINERS.
        seconds: of training.

    Returns:
        Counts and rates.
    """
    base, prompts = str(project / "models/base"), str(project / "data/prompts/train.jsonl")
    task, result = folder / f"{name}.task.json", folder / f"{name}.json"
    train = load_params().train.model_dump()
    write_json(task, asdict(TrainingTask(name, base, train, seconds, prompts=prompts)))
    measure_command(f"{sys.executable} -m benchmarks.training_speed {task} {result}", Path.cwd())
    return read_json(result)


def render_table(results: Results) -> str:
    """What was measured, as Markdown."""
    stage, machine, ours, plain = (results[name] for name in ("stage", "machine", *COMPARED))
    ratio = ours["trained_tokens_per_second"] / plain["trained_tokens_per_second"]
    rows = [
        "| tiny model | tokens/s | trained tokens/s | records/s | padding |",
        "|---|---:|---:|---:|---:|",
        table_row("ours", ours),
        table_row("trl, peft and bitsandbytes, padded", plain),
    ]
    return (
        f"{machine['cores']} cores of {machine['processor']}. The train stage trained for "
        f"{stage['training_seconds']:.1f} s (at most 90 are wanted) at {stage['tokens_per_second']:,} tokens a second, "
        f"{stage['samples_per_second']:,} records a second, {stage['wall_s']:.0f} s in all, and "
        f"{stage['peak_mb']:,} MB. For {ours['seconds']:.0f} s each, ours against plain trl: {ratio:.1f} times the "
        "trained tokens a second.\n\n" + "\n".join(rows)
    )


def table_row(name: str, measured: Results) -> str:
    """Renders the rates of one trainer.

    Args:
        name: as readers know it.
        measured: its counts and rates.

    Returns:
        The row.
    """
    rates = " | ".join(f"{measured[f'{unit}_per_second']:,.0f}" for unit in ("tokens", "trained_tokens", "records"))
    return f"| {name} | {rates} | {measured['padding_share']:.0%} |"


if __name__ == "__main__":
    main()
