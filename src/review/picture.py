"""The loss curves of two revisions, old over new, as an SVG picture.

Covers its Vega-Lite specification and the drawing. The background is light, so that it reads in a dark page too.
"""

from typing import Any

from src.review.results import CURVES, Results
from src.study import VEGA_LITE

OLD, NEW = "#5f6b7a", "#945dd6"
LABELS = {"training": "training records", "validation": "held-out records"}
WIDTH, HEIGHT = 400, 260  # with its axis it fills a telephone, where larger ones are scaled and their letters with them
MOST_POINTS = 400  # a line; more would not be told apart

Points = list[tuple[float, float]]


def curve_rows(results: Results, name: str) -> list[dict[str, Any]]:
    """The points of a revision's curves.

    Args:
        results: the revision's.
        name: how the legend calls it.
    """
    return [
        {"revision": name, "split": LABELS[curve], "epoch": epoch, "loss": loss}
        for curve in CURVES
        for epoch, loss in thinned(results.curve(curve))
    ]


def thinned(points: Points) -> Points:
    """Every so many points of a curve, so that there are not too many, with its last."""
    step = -(-len(points) // MOST_POINTS) or 1
    kept = points[::step]
    return kept if not points or kept[-1] == points[-1] else [*kept, points[-1]]


def draw_curves(old: Results, new: Results) -> str | None:
    """The picture as SVG; None where the curves are the same, or one of the two has none.

    Args:
        old: results of the one revision.
        new: of the other.
    """
    names = legend_names(old, new)
    before, after = curve_rows(old, names[0]), curve_rows(new, names[1])
    if not before or not after or [old.curve(name) for name in CURVES] == [new.curve(name) for name in CURVES]:
        return None
    import vl_convert

    drawn = vl_convert.vegalite_to_svg(curves_specification([*before, *after], names), vl_version=VEGA_LITE)
    return f"{drawn}\n"


def legend_names(old: Results, new: Results) -> tuple[str, str]:
    """What the legend calls the two revisions, which may have one name.

    Args:
        old: results of the one revision.
        new: of the other.
    """
    return f"old: {old.name[:40]}", f"new: {new.name[:40]}"


def curves_specification(rows: list[dict[str, Any]], names: tuple[str, str]) -> dict[str, Any]:
    """The picture in Vega-Lite, with its data.

    Args:
        rows: points of the curves.
        names: of the old and the new revision, in the legend.
    """
    legend = {"orient": "bottom", "direction": "vertical", "title": None, "labelLimit": 300, "symbolStrokeWidth": 2}
    colour = {"domain": list(names), "range": [OLD, NEW]}
    dashes, faint = ({"domain": list(LABELS.values()), "range": range_} for range_ in ([[2, 3], [1, 0]], [0.6, 1]))
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "background": "white",
        "padding": 10,
        "title": {"text": "Loss while training (lower is better)", "fontSize": 15, "offset": 12},
        "width": WIDTH,
        "height": HEIGHT,
        "data": {"values": rows},
        "mark": {"type": "line", "strokeWidth": 2},
        "encoding": {
            "x": {"field": "epoch", "type": "quantitative", "title": "passes over the training records"},
            "y": {
                "field": "loss",
                "type": "quantitative",
                "title": "nats a token",
                "scale": {"zero": False},
            },
            "color": {"field": "revision", "type": "nominal", "scale": colour, "legend": legend},
            "strokeDash": {"field": "split", "type": "nominal", "scale": dashes, "legend": legend},
            "opacity": {"field": "split", "type": "nominal", "scale": faint, "legend": None},
        },
        "config": {
            "font": "Liberation Sans, Arial, sans-serif",  # the first one is part of vl-convert
            "axis": {"labelFontSize": 13, "titleFontSize": 13, "titleFontWeight": "normal"},
            "legend": {"labelFontSize": 13},
            "view": {"stroke": None},
        },
    }
