"""Answers of a hosted model, the tuned one or the one it was tuned from, as rows of data/generations.

Covers which model is asked. What it has answered is kept in .answers/ and not paid for again, by the engine of
src/inference/endpoint.py.
"""

from collections.abc import Sequence
from pathlib import Path

from src.hosted.adapter import read_hosted_adapter
from src.hosted.refusals import no_hosted_model
from src.hosted.service import as_endpoint
from src.inference.endpoint import EndpointEngine
from src.inference.endpoint_rows import make_generation
from src.inference.engine import Sampling
from src.params import ServiceParams
from src.prompts.rendering import FormattedRecord
from src.scoring.generations import Generation


def answer_hosted(
    endpoint: ServiceParams,
    system: str,
    adapter: Path | None,
    records: Sequence[FormattedRecord],
    sampling: Sampling,
) -> list[Generation]:
    """Answers to held-out records; no service tells the loss of their references.

    Args:
        endpoint: the service.
        system: what answers: base, few_shot or tuned.
        adapter: the folder that tells the tuned model's name; None asks the one it was tuned from.
        records: prompts and completions.
        sampling: how the answers are drawn.

    Raises:
        UserError: if the adapter is of no hosted model, or the service gives no answer.
    """
    model = endpoint.model
    if adapter:
        hosted = read_hosted_adapter(adapter)
        if hosted is None:
            raise no_hosted_model(system)
        model = hosted["model"]
    engine = EndpointEngine(as_endpoint(endpoint, system).model_copy(update={"model": model}))
    answers = engine.answer([record["prompt"] for record in records], sampling)
    return list(map(make_generation, records, answers))
