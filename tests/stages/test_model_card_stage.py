"""The model card stage writes from metrics alone: nothing has been merged or converted here."""

from pathlib import Path

import pytest

from src import params
from src.files import write_json
from src.params import Params
from src.scoring.scores import SCORES as ALL_SCORES
from src.stages import model_card

SCORES = {score.name: 1.0 for score in ALL_SCORES if score.in_tables}
METRICS = {
    "audit": {"trained_token_share": 0.5},
    "train": {
        "records": 2,
        "steps": 3,
        "trainable_parameters": 4,
        "b_matrices": 5,
        "validation_loss_first": 2.0,
        "validation_loss_kept": 1.0,
    },
    "evaluate": {"records": 2, "base": SCORES, "tuned": SCORES, "nearest": SCORES},
    "export": {
        "prompts": 2,
        "merged_loss_difference": 0.0,
        "gguf_f16_agreement": 1.0,
        "gguf_q8_0_agreement": 0.5,
        "prompts_read": 2,
        "modelfile": "f16",
    },
}


@pytest.fixture
def measured(project: Path) -> Params:
    """A project of whose stages only the metrics are there, as in a fresh clone."""
    for stage, metrics in METRICS.items():
        write_json(f"metrics/{stage}.json", metrics)
    return params.load_params()


def test_the_model_card_is_written_from_metrics_and_parameters(measured: Params) -> None:
    model_card.main(measured)
    text = Path("models/MODEL_CARD.md").read_text(encoding="utf-8")
    assert "- Base model: models/embedded\n" in text
    assert "Shelftalk's embedded model" in text
    assert "data is synthetic" in text
    assert "8 bits (Q8_0): 50%" in text
    assert [path.name for path in Path("models").iterdir()] == ["MODEL_CARD.md"]


def test_a_base_from_the_hub_is_named_with_its_revision(measured: Params) -> None:
    base = measured.base.model_copy(update={"source": "hub", "repository": "owner/name", "revision": "abc"})
    model_card.main(measured.model_copy(update={"base": base}))
    text = Path("models/MODEL_CARD.md").read_text(encoding="utf-8")
    assert "- Base model: owner/name@abc\n" in text
    assert "embedded model" not in text
