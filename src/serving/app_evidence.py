"""What the page tells of the run behind the model: its scores with intervals, its losses, the proof of the adapter.

Covers reading the files that the pipeline wrote, and the numbers to show; each part is left out where its file is not
there. parts.html.jinja lays them out.
"""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from src.files import read_json, read_tsv
from src.scoring.report_verdict import verdict_sentence
from src.scoring.scores import SCORES
from src.serving.model import SIDES, AdapterProof

REPORT, LOSSES = Path("reports/evaluate.json"), Path("plots/train")
BLOCK = re.compile(r"blk\.(\d+)\.")  # llama.cpp's name of a layer's tensors
ROOM = 0.06  # above and below the curves, as a share of their range


class Range(NamedTuple):
    """A score with its 95% interval, as text."""

    value: str
    low: str
    high: str


class ScoreTile(NamedTuple):
    """One score of both sides."""

    label: str
    better: str
    base: Range
    tuned: Range


class Scores(NamedTuple):
    """What the evaluation says."""

    records: int
    verdict: str
    tiles: list[ScoreTile]


class Curve(NamedTuple):
    """A loss over the steps, as the points of an SVG line in a square of 100."""

    points: str
    first: float
    last: float


class LossChart(NamedTuple):
    """Both losses on the same axes."""

    training: Curve
    validation: Curve
    steps: int
    lowest: float
    highest: float


class LayerNorm(NamedTuple):
    """What the adapter adds to a layer."""

    name: str
    norm: float
    share: float
    """Of the largest one, in percent."""


def read_scores(path: Path = REPORT) -> Scores | None:
    """The scores to decide by, of base and tuned model; None where nothing was evaluated."""
    if not path.is_file():
        return None
    report = read_json(path)
    headline = [score for score in SCORES if score.headline]
    tiles = [
        ScoreTile(score.label, f"{score.better} is better", *(score_range(report, side, score.name) for side in SIDES))
        for score in headline
    ]
    differences = report["difference"]["tuned_minus_base"]
    tested = {score.name: differences[score.name] for score in headline}
    verdict = verdict_sentence(tested, "the tuned model", "the base model")
    return Scores(report["records"], verdict[:1].upper() + verdict[1:], tiles)


def score_range(report: Mapping[str, Any], side: str, score: str) -> Range:
    """A score of one side.

    Args:
        report: of reports/evaluate.json.
        side: the system.
        score: its name.
    """
    interval = report["interval"][side][score]
    return Range(*(f"{number:.1f}" for number in (report[side][score], interval["low"], interval["high"])))


def read_losses(folder: Path = LOSSES) -> LossChart | None:
    """The losses of the training; None where there are none."""
    paths = [folder / "training.tsv", folder / "validation.tsv"]
    if not all(path.is_file() for path in paths):
        return None
    training, validation = ([(int(row["step"]), float(row["loss"])) for row in read_tsv(path)] for path in paths)
    if not training or not validation:
        return None
    losses = [loss for _, loss in training + validation]
    steps, lowest, highest = max(step for step, _ in training + validation), min(losses), max(losses)
    training_curve, validation_curve = (draw_curve(rows, steps, lowest, highest) for rows in (training, validation))
    return LossChart(training_curve, validation_curve, steps, lowest, highest)


def draw_curve(rows: Sequence[tuple[int, float]], steps: int, lowest: float, highest: float) -> Curve:
    """A loss as a line.

    Args:
        rows: step and loss.
        steps: where the axis ends.
        lowest: of all losses.
        highest: likewise.
    """
    room = (highest - lowest) * ROOM or 1.0
    scale = 100 / (highest - lowest + 2 * room)
    points = " ".join(f"{100 * step / max(1, steps):.2f},{(highest + room - loss) * scale:.2f}" for step, loss in rows)
    return Curve(points, rows[0][1], rows[-1][1])


def layer_norms(proof: AdapterProof) -> list[LayerNorm]:
    """What the adapter adds to each layer: the norm over all of the layer's tensors."""
    squares: dict[str, float] = {}
    for name, norm in proof.norms.items():
        found = BLOCK.match(name)
        layer = f"Layer {int(found[1]) + 1}" if found else name
        squares[layer] = squares.get(layer, 0.0) + norm**2
    largest = math.sqrt(max(squares.values(), default=0.0)) or 1.0
    return [LayerNorm(name, math.sqrt(one), 100 * math.sqrt(one) / largest) for name, one in squares.items()]
