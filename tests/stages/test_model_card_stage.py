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
    "evaluate": {"records": 2} | dict.fromkeys(("base", "few_shot", "tuned", "nearest", "title"), SCORES),
    "export": {
        "prompts": 2,
        "merged_loss_difference": 0.0,
        "forms": {"f16": {"agreement": 1.0}, "q8_0": {"agreement": 0.5}},
        "prompts_read": 2,
        "modelfile": "f16",
    },
}

FOLDER = {
    "name": "embedded@sha256:0123",
    "revision": None,
    "sha256": "0123",
    "quantisation": "nf4",
    "dtype": "float32",
    "licence": {"license": "apache-2.0"},
}


@pytest.fixture
def measured(project: Path) -> Params:
    """A project of whose stages only the metrics are there, as in a fresh clone, and the adapter's note."""
    for stage, metrics in METRICS.items():
        write_json(f"data/reports/{stage}.json", metrics)
    write_json("models/adapter/base.json", FOLDER)
    return params.load_params()


def test_the_model_card_is_written_from_metrics_and_parameters(measured: Params) -> None:
    model_card.main(measured)
    text = Path("models/MODEL_CARD.md").read_text(encoding="utf-8")
    assert "`models/embedded`, a folder and no repository of a hub; SHA-256 of its weights `0123`\n" in text
    assert "license: apache-2.0\n" in text and "language: en\n" in text and "base_model" not in text
    assert 'from_pretrained("models/embedded", quantization_config=nf4, dtype=torch.float32)' in text
    assert "Shelftalk's embedded model" in text
    assert "data is synthetic" in text
    assert "8 bits (Q8_0): 50%" in text
    assert sorted(path.name for path in Path("models").iterdir()) == ["MODEL_CARD.md", "adapter"]


def test_a_base_from_the_hub_is_named_with_its_revision(measured: Params) -> None:
    write_json("models/adapter/base.json", FOLDER | {"name": "owner/name", "revision": "abc"})
    base = measured.base.model_copy(update={"source": "hub"})
    model_card.main(measured.model_copy(update={"base": base}))
    text = Path("models/MODEL_CARD.md").read_text(encoding="utf-8")
    assert "- Base model: `owner/name` at commit `abc`;" in text
    assert "base_model: owner/name\n" in text and "base_model_relation: adapter\n" in text
    assert "embedded" not in text


def test_no_card_tells_the_folders_of_a_machine(measured: Params) -> None:
    base = measured.base.model_copy(update={"folder": "/home/me/models/mine"})
    data = measured.data.model_copy(update={"raw": "/home/me/lamps.json.gz"})
    model_card.main(measured.model_copy(update={"base": base, "data": data}))
    text = Path("models/MODEL_CARD.md").read_text(encoding="utf-8")
    assert "/home" not in text
    assert 'from_pretrained("mine",' in text and "datasets:\n- lamps\n" in text and "language:" not in text
