"""Writes the model card, models/MODEL_CARD.md, from the parameters, the adapter's base.json and four stages' metrics.

It tells what the exported model is, how it was trained and what it scores: the README.md of its repository on a model
hub. A stage of its own, so that the model is not merged and converted again for a new score or another wording.
"""

from pathlib import Path

from src.export.hosted_card import render_hosted_card
from src.export.model_card import EMBEDDED_BASE, ModelFacts, render_model_card
from src.files import atomic_file, read_json
from src.inference.engine import sampling_of
from src.params import Params
from src.stages.runner import Outcome, run_stage

MODEL_CARD = "models/MODEL_CARD.md"
BASE_NOTE = "models/adapter/base.json"
STAGES = ("audit", "train", "evaluate", "export")


def main(params: Params) -> Outcome:
    """Writes the model card."""
    base = read_json(BASE_NOTE)
    # The one folder with invented records; what a user sets instead is taken for real.
    synthetic = params.data.raw.startswith("data/sample/")
    facts = ModelFacts(
        base=base,
        base_place=base["name"] if base["revision"] else folder_name(params.base.folder),
        data=params.data.raw if synthetic else Path(params.data.raw).name,
        language=known_language(params.clean.language, synthetic),
        template=params.format.template,
        instruction=params.format.instruction,
        question=params.format.question,
        sampling=sampling_of(params.generate),
        embedded_base=(params.base.source, params.base.folder) == ("local", EMBEDDED_BASE),
        synthetic_data=synthetic,
    )
    metrics = {stage: read_json(f"data/reports/{stage}.json") for stage in STAGES}
    render = render_hosted_card if "fine_tuned_model" in metrics["train"] else render_model_card
    with atomic_file(MODEL_CARD) as partial:
        partial.write_text(render(facts, metrics), encoding="utf-8")
    return Outcome(f"{MODEL_CARD} has the figures of {', '.join(STAGES)}")


def folder_name(folder: str) -> str:
    """A base model's folder as others may read it: of one outside the project the name alone."""
    path = Path(folder)
    return path.resolve().name if path.is_absolute() or ".." in path.parts else path.as_posix()


def known_language(kept: str, synthetic: bool) -> str | None:
    """The language of the data; None where nothing says so.

    Args:
        kept: clean.language.
        synthetic: whether the data is the invented catalogue, which is English.
    """
    return kept if kept != "any" else ("en" if synthetic else None)


if __name__ == "__main__":
    run_stage(main)
