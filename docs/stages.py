"""Shows the stages of dvc.yaml: a diagram of what feeds what, and a table of what each does and writes.

Covers what dvc.yaml declares. DVC's own `dvc dag` draws the same stages with every arrow; this one leaves out those
that follow from others.
"""

from collections.abc import Iterator
from typing import Any

from src.params import PIPELINE, read_yaml

Definition = dict[str, Any]
Edges = set[tuple[str, str]]
KINDS = ("outs", "metrics", "plots")


def stages_table() -> str:
    """The stages: name, what it does, what it writes."""
    rows = ["| stage | what it does | writes |", "|---|---|---|"]
    for name, stage in read_yaml(PIPELINE)["stages"].items():
        stage = stage.get("do", stage)  # a `foreach` has its definition one level deeper
        paths = ", ".join(f"`{path.replace('${key}', '{base,tuned}')}`" for path in written_paths(stage))
        rows.append(f"| `{name}` | {stage['desc']} | {paths} |")
    return "\n".join(rows)


def pipeline_diagram() -> str:
    """A Mermaid flowchart of the stages."""
    stages = dict(expand_stages(read_yaml(PIPELINE)["stages"]))
    edges = direct_edges(stages)
    givers: dict[str, list[str]] = {}  # by what they feed, so that those that feed the same share an arrow
    for giver in dict.fromkeys(giver for giver, _ in edges):
        takers = " & ".join(diagram_node(taker) for one, taker in edges if one == giver)
        givers.setdefault(takers, []).append(diagram_node(giver))
    arrows = [f"    {' & '.join(names)} --> {takers}" for takers, names in givers.items()]
    alone = [f"    {diagram_node(stage)}" for stage in stages if not any(stage in edge for edge in edges)]
    raw = '    raw[/"data.raw"/] --> decompress'
    return "\n".join(["```mermaid", "flowchart LR", raw, *arrows, *alone, "```"])


def diagram_node(stage: str) -> str:
    """A stage in Mermaid, whose names of nodes hold no @."""
    return f'{stage.replace("@", "_")}["{stage}"]' if "@" in stage else stage


def stage_edges(stages: Definition) -> Edges:
    """Every pair of stages of which the second reads what the first writes."""
    writers = {path: name for name, stage in stages.items() for path in written_paths(stage)}
    return {
        (giver, taker)
        for taker, stage in stages.items()
        for dependency in stage.get("deps", [])
        for path, giver in writers.items()
        if f"{dependency}/".startswith(f"{path}/") or f"{path}/".startswith(f"{dependency}/")
    }


def expand_stages(stages: Definition) -> Iterator[tuple[str, Definition]]:
    """The stages with each `foreach` as the stages that it generates."""
    for name, stage in stages.items():
        if "foreach" not in stage:
            yield name, stage
            continue
        for key, item in stage["foreach"].items():
            values = {"key": key, **{f"item.{field}": value for field, value in item.items()}}
            yield f"{name}@{key}", fill_values(stage["do"], values)


def fill_values(template: Any, values: dict[str, str]) -> Any:
    """A stage's definition with `${name}` replaced by its value.

    Args:
        template: a mapping, a list or a plain value of dvc.yaml.
        values: what takes the names' place.
    """
    if isinstance(template, dict):
        return {fill_values(key, values): fill_values(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [fill_values(entry, values) for entry in template]
    for name, value in values.items():
        template = template.replace(f"${{{name}}}", value) if isinstance(template, str) else template
    return template


def written_paths(stage: Definition) -> list[str]:
    """The files and folders that a stage writes."""
    entries = [entry for kind in KINDS for entry in stage.get(kind, [])]
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def direct_edges(stages: Definition) -> list[tuple[str, str]]:
    """The edges that do not follow from others (the transitive reduction), in the order of the stages."""
    edges, order = stage_edges(stages), list(stages)
    following = {name: {taker for giver, taker in edges if giver == name} for name in order}
    kept = [
        (giver, taker)
        for giver, taker in edges
        if not any(taker in reached_from(other, following) for other in following[giver] - {taker})
    ]
    return sorted(kept, key=lambda edge: (order.index(edge[0]), order.index(edge[1])))


def reached_from(stage: str, following: dict[str, set[str]]) -> set[str]:
    """All stages after a stage, at any distance.

    Args:
        stage: its name.
        following: by stage, those that read what it writes.
    """
    direct = following[stage]
    return direct.union(*(reached_from(other, following) for other in direct))
