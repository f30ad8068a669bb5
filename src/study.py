"""The learning-rate study: one DVC experiment for each template and rate, and their loss curves in one plot.

Covers naming, queueing and following the experiments, and drawing what `dvc plots diff` gives for them. All else is
DVC's: the queue, the runs, the plot's template in .dvc/plots/loss.json, which knows an experiment by its name.

    python -m src.study run --rates 1e-5 3e-5 --templates chat alpaca    # queue what is not there yet, run, draw
    python -m src.study plot --rates 1e-5 3e-5 --templates chat alpaca   # dvc_plots/index.html
    python -m src.study picture ... --out docs/learning-rates.svg        # the same plot as a picture
"""

import argparse
import json
import math
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, get_args

from src.errors import UserError
from src.files import atomic_file
from src.prompts.rendering import TemplateName

INPUTS = ["params.yaml", "dvc.yaml", "src", "data"]  # what the experiments start from, the results apart
PICTURE = Path("docs/learning-rates.svg")
PROGRESS = re.compile(r"step \d+ of \d+|\d+ steps: |Scored |[a-z]+: |ERROR")  # a stage's complaint begins with its name
VEGA_LITE = "5.8"  # of those vl-convert carries the nearest to 5.2, which DVC's page loads


def learning_rate(text: str) -> str:
    """A learning rate as the names of experiments hold it: 0.00001 and 1.0e-05 are 1e-5.

    Raises:
        ArgumentTypeError: if it is no number above 0 and below 1.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no learning rate: write a number above 0 and below 1, like 1e-5")
    mantissa, exponent = f"{value:.6e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def experiment_names(templates: list[str], rates: list[str]) -> list[str]:
    """The experiments' names, such as chat-1e-5, in the order of the plot's legend; none is there twice."""
    return list(dict.fromkeys(f"{template}-{each}" for template in templates for each in rates))


def run_dvc(*words: str) -> str:
    """What a DVC command prints.

    Raises:
        UserError: with DVC's own sentence, if it fails.
    """
    done = subprocess.run(["dvc", *words], capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"`dvc {' '.join(words)}` failed: {done.stderr.strip().removeprefix('ERROR: ')}")
    return done.stdout


def finished_experiments(*options: str) -> list[str]:
    """The names of the experiments that ran from this commit; with `--all-commits` one may be there several times."""
    return run_dvc("exp", "list", "--name-only", *options).split()


def run_study(wanted: list[str]) -> None:
    """Queues the experiments that are not there yet, runs the queue and follows it.

    Raises:
        UserError: if the inputs are not committed, or an experiment failed.
    """
    require_committed_inputs()
    done, waiting = finished_experiments(), {entry.name for entry in pending_experiments()}
    for name in wanted:
        if name in done:
            print(f"{name} has run from this commit and is kept; `dvc exp remove {name}` makes room for another run.")
        elif name in waiting:
            print(f"{name} is in the queue already.")
        else:
            queue_experiment(name)
    if not set(wanted).issubset(done):
        follow_queue()
    done = finished_experiments()
    if failed := [name for name in wanted if name not in done]:
        logs = ", ".join(f"`dvc queue logs {name}`" for name in failed)
        raise UserError(f"{', '.join(failed)} failed: see {logs}. The same command tries again.")


def require_committed_inputs() -> None:
    """Makes sure that all experiments of a commit start from the same inputs, whenever they run.

    Raises:
        UserError: if one of them is not committed.
    """
    status = subprocess.run(["git", "status", "--porcelain", "--", *INPUTS], capture_output=True, text=True)
    if status.returncode:
        raise UserError(f"git cannot tell what is committed: {status.stderr.strip()}")
    if changed := [line[3:] for line in status.stdout.splitlines()]:
        raise UserError(
            f"{', '.join(changed)}: changed since the last commit, and a study's experiments belong to a commit: "
            "commit the change, or undo it with `git checkout`."
        )


def queue_experiment(name: str) -> None:
    """Queues an experiment."""
    template, _, value = name.partition("-")
    words = ["exp", "run", "--queue", "--name", name, "-S", f"train.lr={value}", "-S", f"format.template={template}"]
    print(f"> dvc {' '.join(words)}", flush=True)
    run_dvc(*words)


def pending_experiments() -> list[Any]:
    """What DVC's queue holds, running first; each entry has a `name` and a `stash_rev`."""
    tasks = dvc_queue()
    queued = list(tasks.iter_queued())  # first: what starts in between is then in both
    active = list(tasks.iter_active())
    return active + [entry for entry in queued if entry not in active]


def dvc_queue() -> Any:
    """DVC's queue of experiments, which no command shows in a form that a program can read."""
    from dvc.repo import Repo

    return Repo().experiments.celery_queue


def follow_queue() -> None:
    """Runs DVC's queue, which outlives this process, to its end; prints of its logs what shows progress.

    Raises:
        UserError: if the queue does not start.
    """
    print("> dvc queue start", flush=True)
    silent = subprocess.DEVNULL  # the queue keeps what it is given open until its end: whoever reads it would wait
    if subprocess.run(["dvc", "queue", "start"], stdout=silent, stderr=silent).returncode:
        raise UserError("`dvc queue start` failed: run it by itself to see why.")
    entries = pending_experiments()
    for place, entry in enumerate(entries, start=1):
        print(f"{entry.name} ({place} of {len(entries)} in the queue)", flush=True)
        for line, _ in groupby(experiment_log(entry)):  # DVC reports a failure twice
            if PROGRESS.match(line):
                print(f"    {line.rstrip()}", flush=True)


def experiment_log(entry: Any) -> Iterator[str]:
    """The lines that a queued experiment prints, from its start until DVC has put its result away."""
    processes = dvc_queue().proc
    while not processes.get(entry.stash_rev) and entry in pending_experiments():
        time.sleep(1)
    if processes.get(entry.stash_rev):  # else it failed before its first stage
        yield from processes.follow(entry.stash_rev)
    while entry in pending_experiments():
        time.sleep(1)


def plots_diff(wanted: list[str], *options: str) -> str:
    """What `dvc plots diff` prints for the loss curves of the experiments, from this commit or an earlier one.

    Raises:
        UserError: if one of them has not run, or from several commits and not from this one.
    """
    runs = Counter(finished_experiments("--all-commits"))
    if missing := [name for name in wanted if not runs[name]]:
        raise UserError(f"not run yet: {', '.join(missing)}. Run the study first, with the same rates and templates.")
    if several := [name for name in wanted if runs[name] > 1 and name not in finished_experiments()]:
        raise UserError(
            f"run from several commits, and not from this one: {', '.join(several)}. Run the study here, or check the "
            "commit out; `dvc exp list --all-commits` tells which."
        )
    return run_dvc("plots", "diff", *wanted, "--targets", "Loss", *options)


def write_plot(wanted: list[str]) -> None:
    """Writes DVC's page and names it, with the command that does so."""
    print(f"> dvc plots diff {' '.join(wanted)} --targets Loss", flush=True)
    print(plots_diff(wanted).strip())


def write_picture(wanted: list[str], out: Path) -> None:
    """Writes the plot of `dvc plots diff` as an SVG picture; needs no browser."""
    import vl_convert

    specification = json.loads(plots_diff(wanted, "--show-vega"))
    with atomic_file(out) as partial:
        partial.write_text(vl_convert.vegalite_to_svg(specification, vl_version=VEGA_LITE), encoding="utf-8")
    print(f"{out} shows {', '.join(wanted)}.")


def main() -> None:
    """The commands `run`, `plot` and `picture`."""
    parser = argparse.ArgumentParser(prog="python -m src.study", description="Runs and draws a learning-rate study.")
    parser.add_argument("command", choices=["run", "plot", "picture"])
    parser.add_argument("--rates", nargs="+", type=learning_rate, required=True, metavar="RATE")
    parser.add_argument("--templates", nargs="+", choices=get_args(TemplateName), required=True, metavar="NAME")
    parser.add_argument("--out", type=Path, default=PICTURE, help="picture: the file to write")
    arguments = parser.parse_args()
    wanted = experiment_names(arguments.templates, arguments.rates)
    try:
        if arguments.command == "picture":
            write_picture(wanted, arguments.out)
            return
        if arguments.command == "run":
            run_study(wanted)
        write_plot(wanted)
    except UserError as error:
        sys.exit(f"study: {error}")
    except KeyboardInterrupt:
        sys.exit(
            "study: interrupted: what runs goes on in the background. `dvc queue status` shows it, the same command "
            "follows it again, `dvc queue stop --kill` ends it."
        )


if __name__ == "__main__":
    main()
