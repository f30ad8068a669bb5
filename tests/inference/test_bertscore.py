"""BERTScore: by hand on vectors, as a direct computation over an encoder's own output gives it, and refusals."""

import json
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cosine_similarity

from src.errors import UserError
from src.inference.bertscore import BATCH, Encoder, TokenVectors, bert_scores, compare_vectors
from tests.tiny_encoder import write_encoder

ANSWERS = ["A blue lamp.", "a desk of brass", "bag", "lamp " * 60]
REFERENCES = ["A lamp of brass.", "A blue bag for the desk.", "bag", "A lamp."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Encoder:
    return Encoder(folder)


def vectors(*rows: tuple[float, float], counted: list[bool] | None = None) -> TokenVectors:
    return TokenVectors(torch.tensor(rows, dtype=torch.float32), torch.tensor(counted or [True] * len(rows)))


def test_by_hand() -> None:
    # The answer's two tokens have cosines of 1 and 0.8 with their nearest, the reference's three of 1, 0.8 and 0.
    answer, reference = vectors((1, 0), (0.6, 0.8)), vectors((1, 0), (0, 1), (0, -1))
    found = compare_vectors(answer, reference)
    assert found.precision == pytest.approx((1 + 0.8) / 2)
    assert found.recall == pytest.approx((1 + 0.8 + 0) / 3)
    assert found.f1 == pytest.approx(2 * 0.9 * 0.6 / 1.5)


def test_special_tokens_are_matched_with_and_do_not_count() -> None:
    answer = vectors((1, 0), (0, 1), counted=[False, True])
    reference = vectors((0, 1), (1, 0), counted=[False, True])
    assert compare_vectors(answer, reference) == (1.0, 1.0, 1.0)


def compute_directly(encoder: Encoder, answer: str, reference: str) -> tuple[float, float]:
    """Precision and recall of two texts, a pair of tokens at a time, without a batch or a mask."""
    given, expected = (encoder.tokenizer(text, truncation=True, return_tensors="pt") for text in (answer, reference))
    with torch.no_grad():
        ours, theirs = (encoder.model(**text).last_hidden_state[0] for text in (given, expected))
    cosines = [[float(cosine_similarity(one, other, dim=0)) for other in theirs] for one in ours]
    precision = [max(row) for row in cosines][1:-1]  # the first and the last are [CLS] and [SEP]
    recall = [max(column) for column in zip(*cosines, strict=True)][1:-1]
    return sum(precision) / len(precision), sum(recall) / len(recall)


def test_scores_are_those_of_a_direct_computation(encoder: Encoder) -> None:
    """The last answer is longer than the encoder reads."""
    found = bert_scores(encoder, {"model": ANSWERS}, REFERENCES)["model"]
    for score, answer, reference in zip(found, ANSWERS, REFERENCES, strict=True):
        assert score[:2] == pytest.approx(compute_directly(encoder, answer, reference), abs=1e-5)
    assert found[2] == pytest.approx((1, 1, 1))


def test_empty_texts_score_zero(encoder: Encoder) -> None:
    found = bert_scores(encoder, {"model": ["", "A lamp."]}, ["A lamp.", " "])
    assert found["model"] == [(0, 0, 0)] * 2


def test_every_record_of_every_system_is_scored_in_order(encoder: Encoder) -> None:
    references = [f"lamp {number}" for number in range(BATCH + 3)]
    found = bert_scores(encoder, {"same": references, "reversed": references[::-1]}, references)
    assert [score.f1 for score in found["same"]] == pytest.approx([1.0] * len(references))
    assert [score.f1 == pytest.approx(1.0) for score in found["reversed"]].count(True) == 1


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"evaluate.bertscore is '.*', and no model .* \(there is no config.json\)"):
        Encoder(tmp_path)


def test_a_model_that_lacks_weights_is_refused(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(UserError, match=r"its weights lack encoder\.layer\.2\..*: set it to a folder with config.json"):
        Encoder(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(UserError, match="no model can be loaded from there"):
        Encoder(tmp_path)
