"""Draws README's picture of the first run: the loss while training, and facts and scores beside two baselines.

Covers the picture's Vega-Lite specification, filled from the committed metrics and plots, and the SVG file drawn from
it. Does not train or score anything.
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from src.files import atomic_file, read_json, read_tsv
from src.study import VEGA_LITE

PICTURE = Path("docs/first-run.svg")
GREY, PURPLE, ORANGE = "#9aa5b1", "#945dd6", "#ed8936"
SYSTEMS = {"base": "base model", "tuned": "fine-tuned model", "nearest": "copy of the nearest title's text"}
# By their keys in reports/evaluate.json. One of the overlap scores is enough: the others show the same.
SCORES = {"facts_stated": "facts stated", "facts_wrong": "facts wrong", "rougeL": "ROUGE-L"}
SPLITS = {"training": "training records", "validation": "held-out records"}
SIZE = {"width": 300, "height": 240}

Rows = list[dict[str, Any]]


def loss_rows() -> Rows:
    """The points of both loss curves."""
    return [
        {"split": name, "epoch": float(row["epoch"]), "loss": float(row["loss"])}
        for split, name in SPLITS.items()
        for row in read_tsv(f"plots/train/{split}.tsv")
    ]


def score_rows(scores: dict[str, Any]) -> Rows:
    """The scores that are drawn, by system."""
    return [
        {"score": SCORES[score], "system": SYSTEMS[system], "value": scores[system][score]}
        for score in SCORES
        for system in SYSTEMS
    ]


def picture_specification() -> dict[str, Any]:
    """The picture in Vega-Lite, with its data."""
    scores = read_json("reports/evaluate.json")
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "background": "white",
        "padding": 12,
        "title": {
            "text": "The first run: a small model, fine-tuned on synthetic products",
            "anchor": "middle",
            "fontSize": 15,
            "offset": 14,
        },
        "hconcat": [loss_panel(loss_rows()), score_panel(score_rows(scores), scores["records"])],
        "spacing": 50,
        "resolve": {"scale": {"color": "independent"}},
        "config": {
            "font": "Liberation Sans, Arial, sans-serif",  # the first one is part of vl-convert
            "axis": {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"},
            "legend": {"labelFontSize": 12, "labelLimit": 300, "orient": "bottom", "title": None},
            "view": {"stroke": None},
        },
    }


def loss_panel(rows: Rows) -> dict[str, Any]:
    """The loss on training and held-out records over the passes, with its first and last held-out value."""
    held_out = [row for row in rows if row["split"] == SPLITS["validation"]]
    ends = [row | {"label": f"{row['loss']:.2f}"} for row in (held_out[0], held_out[-1])]
    position = {
        "x": {
            "field": "epoch",
            "type": "quantitative",
            "title": "passes over the training records",
            "axis": {"tickCount": 5},
        },
        "y": {"field": "loss", "type": "quantitative", "title": "loss, nats per token", "scale": {"zero": False}},
    }
    colour = {"domain": list(SPLITS.values()), "range": [GREY, PURPLE]}
    lines = {
        "data": {"values": rows},
        "mark": {"type": "line", "strokeWidth": 2},
        "encoding": position | {"color": {"field": "split", "type": "nominal", "scale": colour}},
    }
    labels = {
        "data": {"values": ends},
        "layer": [
            {"mark": {"type": "point", "filled": True, "size": 50, "opacity": 1, "color": PURPLE}},
            {
                "mark": {"type": "text", "align": "left", "dx": 3, "dy": 20, "fontSize": 12},
                "encoding": {"text": {"field": "label"}},
            },
        ],
        "encoding": position,
    }
    return SIZE | {"title": "Loss while training (lower is better)", "layer": [lines, labels]}


def score_panel(rows: Rows, records: int) -> dict[str, Any]:
    """The scores of each system as bars with their values.

    Args:
        rows: score, system and value.
        records: how many were scored.
    """
    systems, top = list(SYSTEMS.values()), 1.1 * max(row["value"] for row in rows)  # room for the label
    encoding = {
        "x": {
            "field": "score",
            "type": "nominal",
            "title": f"{records} held-out products",
            "sort": list(SCORES.values()),
            "axis": {"labelAngle": 0},
        },
        "xOffset": {"field": "system", "sort": systems},
        "y": {
            "field": "value",
            "type": "quantitative",
            "title": "percent; ROUGE-L 0 to 100",
            "scale": {"domain": [0, top]},
        },
    }
    colour = {"domain": systems, "range": [GREY, PURPLE, ORANGE]}
    legend = {"columns": 1, "symbolType": "square"}
    return SIZE | {
        "title": "Answers: facts of the title, match with the description",
        "data": {"values": rows},
        "encoding": encoding,
        "layer": [
            {
                "mark": "bar",
                "encoding": {"color": {"field": "system", "type": "nominal", "scale": colour, "legend": legend}},
            },
            {
                "mark": {"type": "text", "dy": -7, "fontSize": 11},
                "encoding": {"text": {"field": "value", "type": "quantitative", "format": ".1f"}},
            },
        ],
    }


def picture_stamp() -> str:
    """The comment that ends the file: the digest of the specification it was drawn from.

    Fonts make the drawing itself differ between machines, so the stamp tells whether the picture is up to date.
    """
    return f"<!-- {sha256(json.dumps(picture_specification()).encode()).hexdigest()} -->\n"


def picture_is_current() -> bool:
    """Whether the file was drawn from the plots as they are now."""
    return PICTURE.exists() and PICTURE.read_text(encoding="utf-8").endswith(picture_stamp())


def draw_picture() -> None:
    """Writes the SVG file; needs no browser."""
    import vl_convert

    drawn = vl_convert.vegalite_to_svg(picture_specification(), vl_version=VEGA_LITE)
    with atomic_file(PICTURE) as partial:
        partial.write_text(f"{drawn}\n{picture_stamp()}", encoding="utf-8")
