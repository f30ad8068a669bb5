"""What models/adapter holds of a hosted model: its name, and what the service tells of the jobs that made it.

Covers hosted.json, by which the later stages know that the model is not here, and base.json, which every adapter has:
no weights, and no key.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from src.files import atomic_folder, read_json, write_json
from src.params import ServiceParams

if TYPE_CHECKING:
    from openai.types.fine_tuning import FineTuningJob
    from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint

RECORD, BASE_NOTE = "hosted.json", "base.json"
# Of a job: what does not change once it is over. Not the organisation, which is nobody else's business.
KEPT = (
    *("id", "model", "fine_tuned_model", "status", "seed", "trained_tokens", "training_file", "validation_file"),
    *("result_files", "created_at", "finished_at"),
)


class HostedModel(TypedDict):
    """The content of hosted.json."""

    model: str
    """The tuned one's name, by which it is asked."""
    base: str
    """The name of what it was tuned from."""
    address: str
    """Where it is."""
    jobs: list[dict[str, Any]]
    """One for each round: what the service tells of it, with its checkpoints."""


def describe_job(job: "FineTuningJob", checkpoints: "Sequence[FineTuningJobCheckpoint]") -> dict[str, Any]:
    """A job's entry.

    Args:
        job: which has ended well.
        checkpoints: that it left; each is a model that can be asked.
    """
    told = job.model_dump(mode="json")
    parameters = ((told.get("method") or {}).get("supervised") or {}).get("hyperparameters")
    return {
        **{name: told.get(name) for name in KEPT},
        "hyperparameters": parameters or told["hyperparameters"] or {},
        "checkpoints": [
            one.metrics.model_dump(mode="json", exclude_none=True)
            | {"step": one.step_number, "model": one.fine_tuned_model_checkpoint}
            for one in checkpoints
        ],
    }


def write_hosted_adapter(folder: Path, endpoint: ServiceParams, jobs: Sequence[dict[str, Any]]) -> HostedModel:
    """Writes what stands for an adapter.

    Args:
        folder: where an adapter would be.
        endpoint: the service.
        jobs: entries of all rounds, the last of which made the model.

    Returns:
        The content of hosted.json.
    """
    model = HostedModel(
        model=jobs[-1]["fine_tuned_model"], base=endpoint.model, address=endpoint.address, jobs=list(jobs)
    )
    base: dict[str, Any] = {
        "name": endpoint.model,
        "revision": None,
        "sha256": "",
        "quantisation": "none",
        "dtype": "",
        "licence": {},
    }
    with atomic_folder(folder) as partial:
        write_json(partial / RECORD, model)
        write_json(partial / BASE_NOTE, base)
    return model


def read_hosted_adapter(folder: Path) -> HostedModel | None:
    """The hosted model that a folder stands for; None of an adapter with weights."""
    path = folder / RECORD
    return cast(HostedModel, read_json(path)) if path.is_file() else None
