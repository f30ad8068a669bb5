"""The pipeline itself on a GPU: `dvc repro` through both backends, and a training that is killed and resumed.

Covers, in copies of the project: the first run by transformers and by Unsloth, from the raw records to the scores and
to the exported model's answers beside the adapter's; and the recipe llama-3.2-1b-chat at 2,000 records over a model of
that shape with random weights, which is trained without interruption, then again and killed at its first checkpoint,
then resumed: both adapters have to be the same. Each part's results are written at once. Without a GPU the same runs at
a small size, by transformers alone. Speed is gpu.py's.

    python -m benchmarks.gpu_pipeline
    python -m benchmarks.gpu_pipeline --only 'killed*' --minutes 9      # what is not done by then is ended, and said
"""

import argparse
import os
import re
import shutil
import sys
import time
from collections.abc import Callable
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.gpu import ENVIRONMENT, has_gpu
from benchmarks.gpu_report import PIPELINE_RESULTS, missing_reason, render_pipeline
from benchmarks.process_groups import CommandError, run_in_time, running, tail
from benchmarks.repeated_training import compare_weights
from benchmarks.workload import build_model
from src.files import read_json, write_json
from src.params import DEFAULTS, PARAMS, dump_yaml, lay_recipe, read_yaml
from src.training.checkpoints import MANIFEST

CPU_RESULTS = Path(".bench/gpu-pipeline-on-cpu.json")
SOURCES = (
    "src",
    "recipes",
    "data/sample",
    "models/embedded",
    "models/none",
    ".dvc/plots",
    ".dvc/page.html",
    "dvc.yaml",
)
# A copy lies in no repository of git: on a machine that is lent for minutes there may be none.
DVC_CONFIG = """\
[core]
    no_scm = true
    analytics = false
    check_update = false
[cache]
    type = "hardlink,copy"
"""
REPRO = [sys.executable, "-m", "dvc", "repro"]
TRAIN_AGAIN = ("--force", "--single-item", "train")  # DVC's cache of runs would bring a finished training back
LOG = "dvc.log"  # in a copy: what its last `dvc repro` has printed
MINUTES = 60.0  # for all parts together
POLL_SECONDS = 0.1
AROUND_A_FAILURE = ("DVC's cache keeps", "ERROR: failed to reproduce")  # lines after the stage's own, which tells why
ADAPTER = Path("models/adapter/adapter_model.safetensors")

LARGE_RECIPE = Path("recipes/llama-3.2-1b-chat.yaml")
SHAPES = {True: "Llama-3.2-1B", False: "small"}  # of the model that is killed, with a GPU and without
KILLED: dict[str, Any] = {  # 2,000 records to train on, of the sample that comes with the project
    "data.raw": "data/sample/trn.json.gz",
    "sample.pool": 0,
    "sample.records": 2500,
    "base.source": "local",
    "train.backend": "transformers",
    "train.deterministic": True,
    "train.save_steps": 2,
    "train.eval_steps": 4,
    "train.eval_records": 50,
}
SMALL_FIRST: dict[str, Any] = {
    "sample.records": 300,
    "train.max_steps": 3,
    "train.eval_records": 4,
    "generate.records": 6,
    "generate.max_new_tokens": 12,
    "export.check_prompts": 2,
    "export.check_tokens": 6,
}
SMALL_KILLED = KILLED | {"sample.records": 300, "train.max_length": 256, "train.max_steps": 8, "train.batch_size": 2}

Settings = dict[str, Any]
Outcome = dict[str, Any]


def main() -> None:
    """Runs the parts, writes what each found, prints the table."""
    arguments = parse_arguments()
    on_gpu, folder = has_gpu(), arguments.folder.absolute()
    target = arguments.results or (PIPELINE_RESULTS if on_gpu else CPU_RESULTS)
    deadline = time.monotonic() + 60 * arguments.minutes
    results = read_json(target) if target.exists() else {}
    for name, part in all_parts(folder, on_gpu).items():
        if not fnmatch(name, arguments.only):
            continue
        results[name] = run_part(part, deadline)
        write_json(target, results)
        print(f"{name}: {missing_reason(results[name]) or 'done'}", flush=True)
    print(f"\n{render_pipeline(results)}\n\nWritten to {target}.")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_pipeline",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for all parts together (default: %(default)s)")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="run parts of such names; others' results stay")
    parser.add_argument("--folder", type=Path, default=Path(".bench/gpu-pipeline"), help="for copies and the model")
    parser.add_argument("--results", type=Path, help=f"the JSON file (default: {PIPELINE_RESULTS}, or {CPU_RESULTS})")
    return parser.parse_args()


def all_parts(folder: Path, on_gpu: bool) -> dict[str, "partial[Outcome]"]:
    """The parts by name, in the order in which they run.

    Args:
        folder: for copies of the project and the model.
        on_gpu: whether there is a GPU.
    """
    backends = ("transformers", "unsloth") if on_gpu else ("transformers",)
    small = {} if on_gpu else SMALL_FIRST
    first = {
        f"first run/{backend}": partial(run_first, folder / "first", small | {"train.backend": backend})
        for backend in backends
    }
    killed = partial(run_killed, folder, SHAPES[on_gpu], KILLED if on_gpu else SMALL_KILLED)
    return {**first, "killed and resumed": killed}


def run_part(part: Callable[[float], Outcome], deadline: float) -> Outcome:
    """Runs a part, if there is time left.

    Args:
        part: what is run, with the deadline.
        deadline: of time.monotonic(), after which no part goes on.

    Returns:
        Its figures with the seconds it took; or why there are none, as `not_run` or `failed`.
    """
    start = time.monotonic()
    if start > deadline:
        return {"not_run": "the time was over"}
    try:
        outcome = part(deadline)
    except CommandError as failure:
        lines = [line for line in str(failure).splitlines() if not line.startswith(AROUND_A_FAILURE)]
        outcome = {"failed": "\n".join(lines)}
    return outcome | {"seconds": round(time.monotonic() - start)}


def run_first(project: Path, settings: Settings, deadline: float) -> Outcome:
    """Reproduces the first run.

    Args:
        project: the copy's folder; where one backend has run, the other takes its data.
        settings: parameters to change, by their dotted names.
        deadline: of time.monotonic().

    Returns:
        The device, the loss, the scores, and each exported form's share of prompts that it answers as the adapter does.
    """
    prepare_project(project, DEFAULTS, settings)
    reproduce(project, deadline)
    trained, forms = read_json(project / "metrics/train.json"), read_json(project / "data/reports/export.json")["forms"]
    return {
        "device": trained["device"],
        "validation_loss": trained["validation_loss"],
        "scores": read_json(project / "metrics/evaluate.json"),
        "same_answers": {form: figures["agreement"] for form, figures in forms.items()},
    }


def run_killed(folder: Path, shape: str, settings: Settings, deadline: float) -> Outcome:
    """Trains a model with random weights without interruption, then kills a training of it and resumes that.

    Args:
        folder: for the model and the copy of the project.
        shape: of the model, a key of workload.SHAPES.
        settings: parameters to change, by their dotted names.
        deadline: of time.monotonic().

    Returns:
        The device, the step that it went on from, and how far the two adapters differ.
    """
    from safetensors.torch import load_file

    base, project = folder / shape, folder / "killed"
    if not base.exists():
        build_model(shape, base)
    prepare_project(project, LARGE_RECIPE, settings | {"base.folder": str(base)})
    reproduce(project, deadline, "train")
    whole = load_file(project / ADAPTER)
    kill_at_checkpoint(project, deadline)
    output = reproduce(project, deadline, *TRAIN_AGAIN)
    resumed = re.search(r"Going on from step (\d+)", output)
    device = read_json(project / "metrics/train.json")["device"]
    differing = compare_weights(whole, load_file(project / ADAPTER))
    return {"device": device, "resumed_from": resumed and int(resumed[1])} | differing


def prepare_project(project: Path, recipe: Path, settings: Settings) -> None:
    """Copies the project's code and sample, with a recipe's parameters; results that are there stay.

    Args:
        project: the copy's folder.
        recipe: laid over the defaults.
        settings: parameters to change, by their dotted names.
    """
    for source in map(Path, SOURCES):
        (project / source).parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, project / source, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, project / source)
    (project / ".dvc/config").write_text(DVC_CONFIG, encoding="utf-8")
    document = lay_recipe(read_yaml(PARAMS), recipe)
    for name, value in settings.items():
        section, key = name.split(".")
        document[section][key] = value
    (project / PARAMS).write_text(dump_yaml(document), encoding="utf-8")


def reproduce(project: Path, deadline: float, *arguments: str) -> str:
    """Runs `dvc repro` to its end; what it prints.

    Args:
        project: the copy's folder.
        deadline: of time.monotonic().
        arguments: further ones.

    Raises:
        CommandError: if a stage fails, or the time is over.
    """
    log = project / LOG
    run_in_time([*REPRO, *arguments], log, deadline - time.monotonic(), stage_environment(), project)
    return log.read_text(encoding="utf-8", errors="replace")


def kill_at_checkpoint(project: Path, deadline: float) -> None:
    """Starts the training anew and kills it, and DVC, as soon as it has a complete checkpoint.

    Args:
        project: the copy's folder.
        deadline: of time.monotonic().

    Raises:
        CommandError: if it ends before, or the time is over.
    """
    log = project / LOG
    with running([*REPRO, *TRAIN_AGAIN], log, stage_environment(), project) as process:
        while not list(project.glob(f".checkpoints/*/*/*/{MANIFEST}")):
            if process.poll() is not None:
                raise CommandError(*tail(log))
            if time.monotonic() > deadline:
                raise CommandError(*tail(log), "not done in time: there is no complete checkpoint")
            time.sleep(POLL_SECONDS)


def stage_environment() -> dict[str, str]:
    """The variables of `dvc repro`, whose stages run by this Python."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return ENVIRONMENT | os.environ | {"PATH": path}


if __name__ == "__main__":
    main()
