"""A run that can be compared: of every stage what it read, what it gave, and where it was computed.

Covers reading it from a revision, the workspace, a certificate or a dvc.lock alone, in DVC's order of the stages. Does
not compare.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter
from hashlib import md5
from json import dumps
from pathlib import Path
from typing import Any

from src.certificate.environment import Environment, recorded_environment
from src.certificate.refusals import no_certificate, no_lock, no_such_run
from src.files import read_json
from src.review.changes import covers, hashes, locked_params
from src.review.results import LOCK, Results
from src.review.revisions import Revision, open_revision

CERTIFICATE = "metrics/certificate.json"
CODE = "src"
FILES = (".json", ".lock", ".yaml")


@dataclass(frozen=True)
class StageRun:
    """A stage as it ran.

    Attributes:
        inputs: hashes of the data that it read, by path.
        code: one digest of all its source files.
        parameters: their values, by full name.
        outputs: hashes of what it wrote, by path.
        environment: where it was computed, None where that is not known.
        sources: hashes of the source files, by path; empty where only the digest is known.
    """

    inputs: dict[str, str]
    code: str
    parameters: dict[str, Any]
    outputs: dict[str, str]
    environment: Environment | None = None
    sources: dict[str, str] = field(default_factory=dict)

    def same_hashes(self, other: "StageRun | None") -> bool:
        """Whether another run of the stage read and gave the same."""
        return other is not None and self.certified() | {"environment": 0} == other.certified() | {"environment": 0}

    def certified(self) -> dict[str, Any]:
        """The stage's entry in a certificate."""
        return {
            "inputs": self.inputs,
            "code": self.code,
            "parameters": self.parameters,
            "outputs": self.outputs,
            "environment": self.environment,
        }


@dataclass(frozen=True)
class Run:
    """A run that can be compared.

    Attributes:
        name: as the user gave it.
        stages: by name, each after those whose results it read.
        uncertified: those whose results are not those of the certificate that lies beside dvc.lock.
    """

    name: str
    stages: dict[str, StageRun]
    uncertified: tuple[str, ...] = ()


def read_run(name: str) -> Run:
    """The run of a name.

    Args:
        name: a certificate's or dvc.lock's file, a commit, branch, tag or DVC experiment, or workspace.

    Raises:
        UserError: if there is none.
    """
    if Path(name).is_file():
        return Run(name, in_order(read_file(name)))
    if name.endswith(FILES):
        raise no_such_run(name)
    return read_results(Results(open_revision(name)))


def read_file(name: str) -> dict[str, StageRun]:
    """The stages of a certificate or a dvc.lock.

    Raises:
        UserError: if the file is neither.
    """
    if name.endswith(".json"):
        return read_certificate(read_json(name), name)
    try:
        return read_lock(Results(Revision("workspace", None)).read_yaml(name)["stages"])
    except (AttributeError, KeyError, TypeError):
        raise no_certificate(name) from None


def read_results(results: Results) -> Run:
    """The run of a revision's dvc.lock, with the environments that its certificate tells.

    Raises:
        UserError: if the revision has no results.
    """
    if not results.lock:
        raise no_lock(results.name)
    locked = in_order(read_lock(results.lock))
    certified = read_certificate(results.read_json(CERTIFICATE), f"{results.name}:{CERTIFICATE}")
    known = {
        name: certified[name].environment for name, stage in locked.items() if stage.same_hashes(certified.get(name))
    }
    uncertified = tuple(name for name in locked if name not in known)
    if results.revision.commit is None:
        known |= {name: recorded_environment(name, locked[name].outputs) for name in uncertified}
    stages = {name: replace(stage, environment=known.get(name)) for name, stage in locked.items()}
    return Run(results.name, stages, uncertified)


def read_certificate(document: Any, name: str) -> dict[str, StageRun]:
    """The stages of a certificate; none of one that is not there.

    Args:
        document: what the file holds.
        name: the file, as an error names it.

    Raises:
        UserError: if it is no certificate.
    """
    try:
        stages = {stage: StageRun(**entry) for stage, entry in document["stages"].items()} if document else {}
        for entry in stages.values():
            dict(entry.inputs), dict(entry.parameters), dict(entry.outputs), dict(entry.environment or {})
        return stages
    except (AttributeError, KeyError, TypeError, ValueError):
        raise no_certificate(name) from None


def read_lock(stages: Mapping[str, dict[str, Any]]) -> dict[str, StageRun]:
    """The stages of a dvc.lock."""
    return {name: locked_stage(entry) for name, entry in stages.items()}


def locked_stage(entry: dict[str, Any]) -> StageRun:
    """A stage as dvc.lock has it, which does not tell where it was computed."""
    read = hashes(entry, "deps")
    sources = {path: value for path, value in sorted(read.items()) if covers(CODE, path)}
    return StageRun(
        inputs={path: value for path, value in read.items() if path not in sources},
        code=md5(dumps(sources).encode()).hexdigest(),
        parameters=locked_params(entry),
        outputs=hashes(entry, "outs"),
        sources=sources,
    )


def in_order(stages: Mapping[str, StageRun]) -> dict[str, StageRun]:
    """Stages by name, each after those whose results it read."""
    before = {name: writers(stage, stages) for name, stage in stages.items()}
    return {name: stages[name] for name in TopologicalSorter(before).static_order()}


def writers(stage: StageRun, stages: Mapping[str, StageRun]) -> list[str]:
    """The other stages that wrote what a stage read.

    Args:
        stage: the one that read.
        stages: all of them by name.
    """
    return [name for name, other in stages.items() if other is not stage and overlaps(stage.inputs, other.outputs)]


def overlaps(paths: Iterable[str], others: Iterable[str]) -> bool:
    """Whether a path is one of the others, in it, or around it.

    Args:
        paths: files and folders.
        others: files and folders.
    """
    return any(covers(other, path) or covers(path, other) for other in others for path in paths)


def locked_run() -> Run:
    """The run of the workspace's dvc.lock.

    Raises:
        UserError: if there is none.
    """
    lock = Results(Revision("workspace", None)).lock
    if not lock:
        raise no_lock("The workspace")
    return Run(LOCK, in_order(read_lock(lock)))
