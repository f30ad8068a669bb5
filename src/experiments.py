"""DVC experiments of this commit, several in a row: queued once, run one after the other, and followed.

Covers what the learning-rate study and the noise floor share. Which experiments there are, and what is read from them,
is theirs. DVC does the rest: it keeps the queue, runs the experiments and stores their results.
"""

import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from src.errors import UserError

if TYPE_CHECKING:  # importing DVC takes a second
    from dvc.repo.experiments.queue.base import QueueEntry
    from dvc.repo.experiments.queue.celery import LocalCeleryQueue

INPUTS = ["params.yaml", "dvc.yaml", "src", "data"]  # what experiments start from; results may be uncommitted
# Lines of an experiment's log worth showing; a stage's last line, or its error, begins with the stage's name.
PROGRESS = re.compile(r"step \d+ of \d+|[a-z_@]+: |ERROR")
POLL_SECONDS = 1  # between two looks at DVC's queue, which sends no notice
INTERRUPTED = (
    "interrupted: what runs goes on in the background. `dvc queue status` shows it, the same command follows it again, "
    "`dvc queue stop --kill` ends it."
)


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


def run_experiments(settings: Mapping[str, Sequence[str]]) -> None:
    """Queues the experiments that have not run and are not queued yet, runs the queue and follows it.

    Args:
        settings: by the experiment's name the parameters that it sets, as in `train.lr=1e-3`.

    Raises:
        UserError: if the inputs are not committed, or an experiment failed.
    """
    require_committed_inputs()
    finished, queued = finished_experiments(), {entry.name for entry in pending_experiments()}
    for name, parameters in settings.items():
        if name in finished:
            print(f"{name} has run from this commit and is kept; `dvc exp remove {name}` makes room for another run.")
        elif name in queued:
            print(f"{name} is in the queue already.")
        else:
            queue_experiment(name, parameters)
    if not set(settings).issubset(finished):
        follow_queue()
    finished = finished_experiments()
    if failed := [name for name in settings if name not in finished]:
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
            f"{', '.join(changed)}: changed since the last commit, and experiments belong to a commit: "
            "commit the change, or undo it with `git checkout`."
        )


def queue_experiment(name: str, parameters: Sequence[str]) -> None:
    """Queues an experiment.

    Args:
        name: its name.
        parameters: what it sets, as in `train.lr=1e-3`.
    """
    words = ["exp", "run", "--queue", "--name", name, *(word for each in parameters for word in ("-S", each))]
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
