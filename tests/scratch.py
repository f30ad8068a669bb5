"""Scratch copies of the project, with a pipeline so small that all of it runs in a minute.

Covers making one, setting its parameters, reproducing it, copying it as it then is, and doing so beside other tests.
The tests check what it wrote.
"""

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, TypeVar

from ruamel.yaml import YAML

from benchmarks.gpu_pipeline import SMALL_FIRST
from tests.planted import PLANTED

Result = TypeVar("Result")
ROOT = Path(__file__).parents[1]
ENVIRONMENT = (
    os.environ
    | PLANTED
    | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "GIT_AUTHOR_NAME": "test",
        "GIT_AUTHOR_EMAIL": "test@localhost",
        "GIT_COMMITTER_NAME": "test",
        "GIT_COMMITTER_EMAIL": "test@localhost",
    }
)
SMALL: dict[str, object] = SMALL_FIRST  # a run of the whole pipeline within a minute


def call(folder: Path, *words: str) -> str:
    """A command's output in `folder`; it has to succeed."""
    done = subprocess.run(words, cwd=folder, env=ENVIRONMENT, text=True, capture_output=True)
    assert done.returncode == 0, f"{' '.join(words)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def reproduce(folder: Path, *targets: str) -> str:
    """What `dvc repro` prints; it runs with less priority than the tests beside it, some of which take the time."""
    return call(folder, "nice", "dvc", "repro", *targets)


def stages_run(output: str) -> list[str]:
    """The stages that `dvc repro` ran rather than skipped."""
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]


def set_parameters(folder: Path, values: dict[str, object]) -> None:
    """Sets parameters in a copy's params.yaml, as `dvc exp run -S` would."""
    yaml, path = YAML(), folder / "params.yaml"
    document = yaml.load(path)
    for name, value in values.items():
        section, key = name.split(".")
        assert key in document[section]
        document[section][key] = value
    yaml.dump(document, path)


def reproduce_project(folder: Path) -> tuple[Path, str]:
    """Reproduces all of a project; its folder, and what that printed."""
    return folder, reproduce(folder)


def make_project(folder: Path) -> None:
    """What git would commit of this project, in a repository of its own, with small parameters and no results."""
    listed = call(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    for name in listed:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    for name in ("dvc.lock", "metrics/certificate.json"):
        (folder / name).unlink(missing_ok=True)
    call(folder, "git", "init", "-q")
    set_parameters(folder, SMALL)
    call(folder, "git", "add", "-A")
    call(folder, "git", "commit", "-qm", "small")


def copy_project(source: Path, target: Path) -> Path:
    """A copy of a project with all its results, which `dvc status` finds as up to date as the original.

    Without what a DVC command that runs in the original meanwhile makes and removes.
    """
    passing = {str(source / ".dvc/tmp"), str(source / "dvc_plots")}

    def ignored(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if f"{folder}/{name}" in passing]

    return shutil.copytree(source, target, ignore=ignored, copy_function=link_or_copy)


def link_or_copy(source: str, target: str) -> None:
    """Links a file that DVC has made read-only, which is replaced and never written to; copies another."""
    writable = os.stat(source).st_mode & stat.S_IWUSR
    (shutil.copy2 if writable else os.link)(source, target)


@dataclass(frozen=True)
class Reproduction:
    """What `dvc repro` ran in a project, and the results that lay there afterwards."""

    output: str
    stages: list[str]
    reports: dict[str, dict[str, Any]]
    lock: dict[str, Any]
    adapter: dict[str, Any]


def read_reproduction(folder: Path, output: str) -> Reproduction:
    """A project's results, and the stages in the output of its `dvc repro`."""
    return Reproduction(
        output=output,
        stages=stages_run(output),
        reports={path.stem: json.loads(path.read_text()) for path in (folder / "data/reports").glob("*.json")},
        lock=YAML(typ="safe").load(folder / "dvc.lock"),
        adapter=json.loads((folder / "models/adapter/adapter_config.json").read_text()),
    )


Change = Callable[[Path], str]  # edits a project, reproduces it and gives the output


class Background:
    """A process that works off what is submitted to it, in order, while tests run.

    A process, no thread: some tests limit the size of files or change the folder, for all threads of theirs. Spawned,
    not forked, as torch's threads do not survive a fork; so what is submitted has to be picklable.
    """

    def __init__(self, initializer: Callable[..., None] | None = None, *arguments: Any) -> None:
        self.executor = ProcessPoolExecutor(1, get_context("spawn"), initializer, arguments)

    def submit(self, function: Callable[..., Result], *arguments: Any) -> Future[Result]:
        """What a function will have given, once what was submitted before is done."""
        return self.executor.submit(function, *arguments)

    def stop(self) -> None:
        """Ends when what runs is done; what waits is left out."""
        self.executor.shutdown(cancel_futures=True)


def copy_when_ready(ready: Event, original: Path, folder: Path) -> None:
    """Copies a project as soon as it is reproduced."""
    ready.wait()
    copy_project(original, folder)


def apply_change(change: Change, folder: Path) -> Reproduction:
    """What a change does in a project."""
    return read_reproduction(folder, change(folder))


class ProjectWorker(Background):
    """A copy of a project in which changes are reproduced one after another, each on what the last one left."""

    def __init__(self, original: Path, reproduced: Future[Any], folder: Path) -> None:
        ready = get_context("spawn").Event()
        reproduced.add_done_callback(lambda _: ready.set())
        super().__init__(copy_when_ready, ready, original, folder)
        self.folder = folder


def submit_groups(workers: list[ProjectWorker], groups: Iterable[dict[str, Change]]) -> dict[str, Future[Reproduction]]:
    """What each change will have done, by the change's name.

    A group of changes, by name, goes to one worker, so that what they have in common is run once: to the one that has
    least to do. The first worker gets the first group, which finds the project as it was reproduced.
    """
    outcomes: dict[str, Future[Reproduction]] = {}
    loads = [0] * len(workers)
    for group in groups:
        number = loads.index(min(loads))
        loads[number] += len(group) + 1  # a group's first change runs more stages than the others
        worker = workers[number]
        outcomes |= {name: worker.submit(apply_change, change, worker.folder) for name, change in group.items()}
    return outcomes
