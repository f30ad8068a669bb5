"""Writes the model card, models/MODEL_CARD.md, from the parameters and the metrics of four stages.

It tells what the exported model is, how it was trained and what it scores: the README.md of its repository on a model
hub. A stage of its own, so that the model is not merged and converted again for a new score or another wording.
"""

from src.export.model_card import EMBEDDED_BASE, ModelFacts, render_model_card
from src.files import atomic_file, read_json
from src.models.sources import base_origin
from src.params import Params
from src.stages.runner import Outcome, run_stage

MODEL_CARD = "models/MODEL_CARD.md"
STAGES = ("audit", "train", "evaluate", "export")


def main(params: Params) -> Outcome:
    """Writes the model card."""
    facts = ModelFacts(
        base=base_origin(params.base),
        data=params.data.raw,
        template=params.format.template,
        instruction=params.format.instruction,
        question=params.format.question,
        four_bit=params.train.four_bit,
        embedded_base=(params.base.source, params.base.folder) == ("local", EMBEDDED_BASE),
        # The one folder with invented records; what a user sets instead is taken for real.
        synthetic_data=params.data.raw.startswith("data/sample/"),
    )
    metrics = {stage: read_json(f"data/reports/{stage}.json") for stage in STAGES}
    with atomic_file(MODEL_CARD) as partial:
        partial.write_text(render_model_card(facts, metrics), encoding="utf-8")
    return Outcome(f"{MODEL_CARD} has the figures of {', '.join(STAGES)}")


if __name__ == "__main__":
    run_stage(main)
