"""What a revision says of itself: its parameters, its lock, and the reports and plots that were committed with it.

Covers reading them. Of the systems' answers only the places are known here; answers.py reads them.
"""

import csv
import functools
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from src.errors import UserError
from src.files import explained_damage
from src.review.refusals import invalid_yaml, results_missing
from src.review.revisions import Revision

REPORT = "reports/evaluate.json"  # without it there is nothing to review
PARAMS, LOCK, PIPELINE = "params.yaml", "dvc.lock", "dvc.yaml"
FUNNELS = ("decompress", "clean", "sample")  # the stages that leave plots/STAGE/funnel.tsv, in their order
CURVES = ("training", "validation")

Rows = list[dict[str, str]]
Values = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Results:
    """A revision's committed results, each read when it is asked for."""

    revision: Revision

    @property
    def name(self) -> str:
        """The revision's."""
        return self.revision.name

    @functools.cached_property
    def params(self) -> Values:
        """The parameters by section and key, such as train.lr; none where there is no params.yaml."""
        return flatten(self.read_yaml(PARAMS))

    @functools.cached_property
    def lock(self) -> dict[str, Values]:
        """The stages of dvc.lock by name."""
        return self.read_yaml(LOCK).get("stages") or {}

    @functools.cached_property
    def pipeline(self) -> dict[str, Values]:
        """The stages of dvc.yaml by name, of a `foreach` what it repeats."""
        stages = self.read_yaml(PIPELINE).get("stages") or {}
        return {name: stage.get("do", stage) for name, stage in stages.items()}

    @functools.cached_property
    def report(self) -> Values:
        """All scores of all systems.

        Raises:
            UserError: if the revision has none.
        """
        report = self.read_json(REPORT)
        if not report:
            raise results_missing(self.name, REPORT)
        return report

    @functools.cached_property
    def outputs(self) -> dict[str, Values]:
        """What the lock knows of every output, by its path: hash and size."""
        return {out["path"]: out for stage in self.lock.values() for out in stage.get("outs", [])}

    @functools.cached_property
    def funnel(self) -> dict[str, str]:
        """How many records each step of the data's way took out or let on, by stage and step."""
        rows = ((stage, row) for stage in FUNNELS for row in self.read_tsv(f"plots/{stage}/funnel.tsv"))
        return {f"{stage}: {row.get('step')}": str(row.get("records")) for stage, row in rows}

    def curve(self, name: str) -> list[tuple[float, float]]:
        """A loss curve's points, epoch and loss; none where it was not drawn.

        Raises:
            UserError: if the file is damaged.
        """
        path = f"plots/train/{name}.tsv"
        try:
            return [(float(row["epoch"]), float(row["loss"])) for row in self.read_tsv(path)]
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{self.name}:{path} is no loss curve ({error}): run `dvc repro gather`.") from None

    def output_hash(self, path: str) -> str | None:
        """The hash of an output in the lock, None where it has none."""
        return self.outputs.get(path, {}).get("md5")

    def read_json(self, path: str) -> Values:
        """A JSON object that git keeps, empty where there is none.

        Raises:
            UserError: if it is damaged.
        """
        content = self.revision.read(path)
        with explained_damage(f"{self.name}:{path}"):
            value = json.loads(content) if content else {}
            if not isinstance(value, dict):
                raise ValueError("no JSON object")
        return value

    def read_yaml(self, path: str) -> Values:
        """A YAML mapping that git keeps, empty where there is none.

        Raises:
            UserError: if it is not valid.
        """
        from ruamel.yaml import YAML, YAMLError

        content, place = self.revision.read(path), f"{self.name}:{path}"
        try:
            document = YAML(typ="safe", pure=True).load(content) if content else {}
        except (YAMLError, ValueError, TypeError, AttributeError) as error:  # the parser's own, on odd numbers and tags
            raise invalid_yaml(place, error) from None
        if not isinstance(document, dict):
            raise invalid_yaml(place, ValueError("it has no sections"))
        return document

    def read_tsv(self, path: str) -> Rows:
        """The rows of a table that git keeps, none where there is no table."""
        content = (self.revision.read(path) or b"").decode(errors="replace")
        return list(csv.DictReader(io.StringIO(content, newline=""), delimiter="\t"))


def flatten(values: Mapping[str, Any], prefix: str = "") -> Values:
    """Nested values by their full names, such as train.lr.

    Args:
        values: by section and key, to any depth.
        prefix: of the names.
    """
    flat: Values = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= flatten(value, f"{name}.") if isinstance(value, dict) and value else {name: value}
    return flat
