"""The metadata block of a model card, which model hubs list, filter and link models by.

Covers the keys of the Hugging Face hub, written by its own library. What is not known is left out: a hub refuses a base
that is no repository of its own, and nobody else's licence is guessed.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from src.scoring.scores import SCORES, Score
from src.scoring.systems import TUNED

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

MODEL_NAME, TASK = "Shelftalk", "text-generation"
HUB_METRICS = {"rouge1": "rouge", "rouge2": "rouge", "rougeL": "rouge"}  # the hub's names where they are not ours
LISTED_METRICS = ["bleu", "chrf", "perplexity", "rouge"]  # those that the hub knows
TAGS = ["lora", "gguf", "llama.cpp", "product-descriptions"]


class CardMetadata(NamedTuple):
    """What the metadata block tells beside the scores."""

    base_repository: str | None
    """Of the base on the hub; None where it is a folder."""
    dataset: str
    """A short name of the data."""
    language: str | None
    """ISO 639-1, where the data is known to be of one language."""
    licence: dict[str, str]
    """By the hub's keys."""


def render_metadata(metadata: CardMetadata, scores: dict[str, Any]) -> str:
    """The block between two lines of dashes, as a card begins with it.

    Args:
        metadata: what it tells beside the scores.
        scores: what the evaluate stage measured.
    """
    from huggingface_hub import ModelCardData

    others: dict[str, Any] = dict(metadata.licence)
    if metadata.base_repository:
        others["base_model_relation"] = "adapter"
    card = ModelCardData(
        base_model=metadata.base_repository,
        datasets=[metadata.dataset],
        language=metadata.language,
        library_name="peft",
        pipeline_tag=TASK,
        tags=TAGS,
        metrics=LISTED_METRICS,
        model_name=MODEL_NAME,
        eval_results=list(evaluation_results(metadata.dataset, scores)),
        **others,
    )
    return f"---\n{card.to_yaml()}\n---"


def evaluation_results(dataset: str, scores: dict[str, Any]) -> "Iterator[EvalResult]":
    """The tuned model's scores as the hub's model index holds them.

    Args:
        dataset: a short name of the data.
        scores: what the evaluate stage measured.
    """
    from huggingface_hub import EvalResult

    for score, value in tuned_scores(scores):
        interval = describe_interval(scores, TUNED, score)
        yield EvalResult(
            task_type=TASK,
            task_name="Description of a product from its title",
            dataset_type=dataset,
            dataset_name=f"{dataset}, {scores['records']} held-out records",
            dataset_split="test",
            metric_type=HUB_METRICS.get(score.name, score.name),
            # In the name, as the hub's page shows that and the value; an index has no place for an interval.
            metric_name=f"{score.label}, 95% interval {interval}" if interval else score.label,
            metric_value=round(value, 2),
        )


def tuned_scores(scores: dict[str, Any]) -> Iterator[tuple[Score, float]]:
    """The scores of the tuned model that tables show, where it has them, in their order."""
    found = ((score, scores[TUNED].get(score.name)) for score in SCORES if score.in_tables)
    return ((score, value) for score, value in found if value is not None)


def describe_interval(scores: dict[str, Any], system: str, score: Score) -> str | None:
    """The bounds of a score's 95% interval in words; None where the score has none.

    Args:
        scores: what the evaluate stage measured.
        system: whose score.
        score: which.
    """
    bounds = scores["interval"].get(system, {}).get(score.name)
    return f"{bounds['low']:.2f} to {bounds['high']:.2f}" if bounds else None
