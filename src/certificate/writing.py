"""Certifies the workspace's results: metrics/certificate.json, which git keeps.

Covers which stages are certified anew. A stage whose hashes are the certified ones keeps its entry, wherever it ran
last: so a run that repeats the bytes leaves the file as it is, and proves what it says.
"""

from dataclasses import replace

from src.certificate.environment import recorded_environment
from src.certificate.runs import CERTIFICATE, Run, StageRun, locked_run, read_certificate
from src.files import write_json
from src.review.results import Results
from src.review.revisions import Revision


def certify(anew: bool) -> str:
    """Writes the certificate of what dvc.lock has, where it says something else; a sentence on what it did.

    Args:
        anew: take every stage's environment from its last run here, also where the hashes are the certified ones.

    Raises:
        UserError: if there is no dvc.lock, or a damaged certificate.
    """
    run = locked_run()
    workspace = Results(Revision("workspace", None))
    certified = read_certificate(workspace.read_json(CERTIFICATE), CERTIFICATE)
    stages = {name: certified_stage(name, stage, certified.get(name), anew) for name, stage in run.stages.items()}
    changed = [name for name, stage in stages.items() if certified.get(name) != stage]
    if changed or certified.keys() - stages.keys():
        write_json(CERTIFICATE, {"stages": {name: stage.certified() for name, stage in stages.items()}})
    return describe(Run(CERTIFICATE, stages), changed)


def certified_stage(name: str, stage: StageRun, certified: StageRun | None, anew: bool) -> StageRun:
    """A stage's entry: the certified one if its hashes are the same, else the locked one with where it was computed.

    Args:
        name: the stage's.
        stage: as dvc.lock has it.
        certified: as it was certified, None if it was not.
        anew: prefer this machine's last run also where the hashes are the same.
    """
    same = certified is not None and stage.same_hashes(certified)
    kept = certified.environment if certified and same else None
    found = recorded_environment(name, stage.outputs) if anew or not same else None
    return replace(stage, environment=found or kept, sources={})


def describe(run: Run, changed: list[str]) -> str:
    """What was certified, in a sentence or two.

    Args:
        run: the certified stages.
        changed: those that were certified anew.
    """
    if not changed:
        return f"the results are the certified ones in all {len(run.stages)} stages; {CERTIFICATE} stays as it is."
    unknown = [name for name in changed if run.stages[name].environment is None]
    said = f"{CERTIFICATE} is new for {listed(changed, run)}."
    return f"{said} Not known is where {listed(unknown, run)} ran: not here, or not last." if unknown else said


def listed(names: list[str], run: Run) -> str:
    """The names of stages in a sentence.

    Args:
        names: of some stages.
        run: with all of them.
    """
    return "all stages" if len(names) == len(run.stages) else ", ".join(names)
