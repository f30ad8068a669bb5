"""What the page tells of the run: the scores of each side, the curves the right way up, and the norms of layers."""

from pathlib import Path

import pytest

from src.files import read_json
from src.scoring.scores import SCORES
from src.serving.app_evidence import REPORT, LayerNorm, draw_curve, layer_norms, read_scores
from src.serving.model import AdapterProof

ROOT = Path(__file__).parents[2]


def test_scores_are_those_of_their_side_with_their_intervals() -> None:
    report, scores = read_json(ROOT / REPORT), read_scores(ROOT / REPORT)
    headline = [score for score in SCORES if score.headline]
    assert scores and [tile.label for tile in scores.tiles] == [score.label for score in headline]
    for tile, score in zip(scores.tiles, headline, strict=True):
        for side, shown in (("base", tile.base), ("tuned", tile.tuned)):
            assert float(shown.value) == pytest.approx(report[side][score.name], abs=0.051)
            assert float(shown.low) <= float(shown.value) <= float(shown.high)


def test_a_loss_that_falls_goes_down() -> None:
    assert draw_curve([(0, 3.0), (10, 1.0)], 10, 1.0, 3.0) == ("0.00,5.36 100.00,94.64", 3.0, 1.0)


def test_a_layer_has_the_norm_of_all_its_tensors() -> None:
    proof = AdapterProof([1.0], {"blk.0.attn_q": 3.0, "blk.0.ffn_down": 4.0, "blk.11.attn_q": 10.0, "output": 0.0})
    named = [LayerNorm("Layer 1", 5.0, 50.0), LayerNorm("Layer 12", 10.0, 100.0), LayerNorm("output", 0.0, 0.0)]
    assert layer_norms(proof) == named
