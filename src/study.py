"""The learning-rate study: one DVC experiment for each template and rate, and their loss curves in one plot.

Covers naming, queueing and following the experiments, and drawing what `dvc plots diff` gives for them. DVC does the
rest: it keeps the queue, runs the experiments and fills .dvc/plots/loss.json, a template that knows each by its name.

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
from typing import TYPE_CHECKING, get_args

from src.errors import UserError
from src.files import atomic_file
from src.params import TemplateName

if TYPE_CHECKING:  # importing DVC takes a second
    from dvc.repo.experiments.queue.base import QueueEntry
    from dvc.repo.experiments.queue.celery import LocalCeleryQueue

INPUTS = ["params.yaml", "dvc.yaml", "src", "data"]  # what experiments start from; results may be uncommitted
PICTURE = Path("docs/learning-rates.svg")
# Lines of an experiment's log worth showing; a stage's last line, or its error, begins with the stage's name.
PROGRESS = re.compile(r"step \d+ of \d+|[a-z_@]+: |ERROR")
VEGA_LITE = "5.21"  # as on the page of plots, .dvc/page.html
POLL_SECONDS = 1  # between two looks at DVC's queue, which sends no notice


def learning_rate(text: str) -> str:
    """A learning rate as the names of experiments hold it: 0.00001 and 1.0e-05 are 1e-5.

    Raises:
        ArgumentTypeError: if it is not a number above 0 and below 1.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a learning rate: write a number above 0 and below 1")
    mantissa, exponent = f"{value:.6e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def experiment_names(templates: list[str], rates: list[str]) -> list[str]:
    """The names of a study's experiments, such as chat-1e-5.

    Args:
        templates: names of prompt templates.
        rates: learning rates as `learning_rate` writes them.

    Returns:
        Every template with every rate, in the order of the plot's legend, none twice.
    """
    return list(dict.fromkeys(f"{template}-{rate}" for template in templates for rate in rates))


def run_dvc(*words: str) -> str:
    """The standard output of a DVC command, whose words follow `dvc`.

    Raises:
        UserError: with DVC's own sentence, if it fails.
    """
    completed = subprocess.run(["dvc", *words], capture_output=True, text=True)
    if completed.returncode:
        raise UserError(f"`dvc {' '.join(words)}` failed: {completed.stderr.strip().removeprefix('ERROR: ')}")
    return completed.stdout


def finished_experiments(*options: str) -> list[str]:
    """The names of the experiments that ran from this commit; with `--all-commits` one may be there several times."""
    return run_dvc("exp", "list", "--name-only", *options).split()


def run_study(names: list[str]) -> None:
    """Queues the named experiments that have not run and are not queued yet, runs the queue and follows it.

    Raises:
        UserError: if the inputs are not committed, or an experiment failed.
    """
    require_committed_inputs()
    finished, queued = finished_experiments(), {entry.name for entry in pending_experiments()}
    for name in names:
        if name in finished:
            print(f"{name} has run from this commit and is kept; `dvc exp remove {name}` makes room for another run.")
        elif name in queued:
            print(f"{name} is in the queue already.")
        else:
            queue_experiment(name)
    if not set(names).issubset(finished):
        follow_queue()
    finished = finished_experiments()
    if failed := [name for name in names if name not in finished]:
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
    """Queues the experiment of a name, with the template and the rate that the name holds."""
    template, _, rate = name.partition("-")
    words = ["exp", "run", "--queue", "--name", name, "-S", f"train.lr={rate}", "-S", f"format.template={template}"]
    print(f"> dvc {' '.join(words)}", flush=True)
    run_dvc(*words)


def pending_experiments() -> list["QueueEntry"]:
    """The experiments in DVC's queue, those that are running first."""
    queue = dvc_queue()
    queued = list(queue.iter_queued())  # read first: an experiment that starts in between is then in both lists
    active = list(queue.iter_active())
    return active + [entry for entry in queued if entry not in active]


def dvc_queue() -> "LocalCeleryQueue":
    """DVC's queue of experiments, from its Python API: `dvc queue status` prints a table for people."""
    from dvc.repo import Repo

    return Repo().experiments.celery_queue


def follow_queue() -> None:
    """Runs DVC's queue to its end, in a process that outlives this one, and prints the progress of each experiment.

    Raises:
        UserError: if the queue does not start.
    """
    print("> dvc queue start", flush=True)
    # The queue's process inherits our output and keeps it open: who reads ours through a pipe would wait for its end.
    silent = subprocess.DEVNULL
    if subprocess.run(["dvc", "queue", "start"], stdout=silent, stderr=silent).returncode:
        raise UserError("`dvc queue start` failed: run it by itself to see why.")
    entries = pending_experiments()
    for place, entry in enumerate(entries, start=1):
        print(f"{entry.name} ({place} of {len(entries)} in the queue)", flush=True)
        for line, _ in groupby(experiment_log(entry)):  # DVC reports a failure twice
            if PROGRESS.match(line):
                print(f"    {line.rstrip()}", flush=True)


def experiment_log(entry: "QueueEntry") -> Iterator[str]:
    """The lines that a queued experiment prints, from its start until DVC has stored its result."""
    processes = dvc_queue().proc
    while not processes.get(entry.stash_rev) and entry in pending_experiments():
        time.sleep(POLL_SECONDS)
    if processes.get(entry.stash_rev):  # missing where it failed before its first stage
        yield from processes.follow(entry.stash_rev)
    while entry in pending_experiments():
        time.sleep(POLL_SECONDS)


def plots_diff(names: list[str], *options: str) -> str:
    """The output of `dvc plots diff` for the loss curves of experiments.

    Args:
        names: experiments that ran from this commit or, each from one alone, from earlier ones.
        options: further words of the command.

    Raises:
        UserError: if one of them has not run, or from several commits and not from this one.
    """
    commits = Counter(finished_experiments("--all-commits"))
    if missing := [name for name in names if not commits[name]]:
        raise UserError(f"not run yet: {', '.join(missing)}. Run the study first, with the same rates and templates.")
    if several := [name for name in names if commits[name] > 1 and name not in finished_experiments()]:
        raise UserError(
            f"run from several commits, and not from this one: {', '.join(several)}. Run the study here, or check the "
            "commit out; `dvc exp list --all-commits` tells which."
        )
    return run_dvc("plots", "diff", *names, "--targets", "Loss", *options)


def write_plot(names: list[str]) -> None:
    """Writes DVC's page of the experiments' loss curves; prints the command that does so, and where the page is."""
    print(f"> dvc plots diff {' '.join(names)} --targets Loss", flush=True)
    print(plots_diff(names).strip())


def write_picture(names: list[str], out: Path) -> None:
    """Writes the plot of `dvc plots diff` as an SVG picture; needs no browser.

    Args:
        names: experiments that have run.
        out: the file to write.
    """
    import vl_convert

    specification = json.loads(plots_diff(names, "--show-vega"))
    with atomic_file(out) as partial:
        partial.write_text(vl_convert.vegalite_to_svg(specification, vl_version=VEGA_LITE), encoding="utf-8")
    print(f"{out} shows {', '.join(names)}.")


def main() -> None:
    """The commands `run`, `plot` and `picture`."""
    parser = argparse.ArgumentParser(prog="python -m src.study", description="Runs and draws a learning-rate study.")
    parser.add_argument("command", choices=["run", "plot", "picture"])
    parser.add_argument("--rates", nargs="+", type=learning_rate, required=True, metavar="RATE")
    parser.add_argument("--templates", nargs="+", choices=get_args(TemplateName), required=True, metavar="NAME")
    parser.add_argument("--out", type=Path, default=PICTURE, help="picture: the file to write")
    arguments = parser.parse_args()
    names = experiment_names(arguments.templates, arguments.rates)
    try:
        if arguments.command == "picture":
            write_picture(names, arguments.out)
            return
        if arguments.command == "run":
            run_study(names)
        write_plot(names)
    except UserError as error:
        sys.exit(f"study: {error}")
    except KeyboardInterrupt:
        sys.exit(
            "study: interrupted: what runs goes on in the background. `dvc queue status` shows it, the same command "
            "follows it again, `dvc queue stop --kill` ends it."
        )


if __name__ == "__main__":
    main()
