"""How long titles and contents are, counted in bins of equal logarithmic width.

Covers the counts and the rows of a plot.
"""

from typing import Any

import numpy as np
import polars as pl

from src.records.parquet import TEXTS

# Lower edges in characters, ten a decade up to a million: 1, 2, ... 10, 13, 16, 20, 25, 32, 40, 50, 63, 79, 100, ...
EDGES = np.unique(np.round(10 ** (np.arange(61) / 10)).astype(int))


class LengthHistogram:
    """The lengths of the titles and contents added."""

    def __init__(self) -> None:
        self._records = {field: np.zeros(len(EDGES), int) for field in TEXTS}

    def add(self, records: pl.DataFrame) -> None:
        """Counts records, none of whose texts is empty."""
        for field in TEXTS:
            places = np.searchsorted(EDGES, records[field].str.len_chars().to_numpy(), side="right") - 1
            self._records[field] += np.bincount(places, minlength=len(EDGES))

    def rows(self, when: str) -> list[dict[str, Any]]:
        """For each field its bins from the shortest to the longest one: text, when, chars (lower edge), records."""
        return [
            {"text": field, "when": when, "chars": int(EDGES[place]), "records": int(records[place])}
            for field, records in self._records.items()
            for place in occupied_bins(records)
        ]


def occupied_bins(records: np.ndarray) -> range:
    """The places from the first bin to the last that hold anything."""
    places = np.flatnonzero(records)
    return range(places[0], places[-1] + 1) if places.size else range(0)
