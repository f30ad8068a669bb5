"""What is counted of the cleaning, and shown of it: drop reasons, what each rule changed, lengths, examples.

Covers the sums over all batches, and the rows of the plots. Holds counts and a few examples for any number
of records.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import polars as pl

from src.records.cleaning import CleanedBatch
from src.records.examples import ChangeExamples
from src.records.filtering import KEPT, count_drop_reasons, funnel_rows
from src.records.filters import FILTERS
from src.records.length_histogram import LengthHistogram
from src.records.rules import Rule


class CleaningStatistics:
    """The counts of all records added."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.reasons = Counter(dict.fromkeys([*(each.name for each in FILTERS), KEPT], 0))
        self._before, self._after = LengthHistogram(), LengthHistogram()
        self._titles, self._contents, self._records = (Counter({rule.name: 0 for rule in rules}) for _ in range(3))
        self._examples = ChangeExamples(rules)

    def add(self, cleaned: CleanedBatch) -> None:
        """Counts a batch."""
        self.reasons.update(count_drop_reasons(cleaned.after["drop_reason"]))
        self._before.add(cleaned.before)
        for rule, title in cleaned.changed_titles.items():
            content = cleaned.changed_contents[rule]
            self._titles[rule] += int(title.sum())
            self._contents[rule] += int(content.sum())
            self._records[rule] += int((title | content).sum())
        self._examples.add(cleaned)

    def add_duplicates(self, reasons: pl.Series) -> None:
        """Counts the drop reasons of duplicates among the records that were kept so far, null for one that stays."""
        self.reasons[KEPT] = 0
        self.reasons.update(count_drop_reasons(reasons))

    def add_written(self, records: pl.DataFrame) -> None:
        """Counts the lengths of clean records."""
        self._after.add(records)

    def metrics(self) -> dict[str, int]:
        """Records in all, by drop reason, and changed by each rule in title or content."""
        changed = {f"changed_{rule}": records for rule, records in self._records.items()}
        return {"records": self.reasons.total(), **self.reasons, **changed}

    def plots(self) -> dict[str, list[dict[str, Any]]]:
        """The rows of each plot, by its name."""
        return {
            "funnel": funnel_rows(FILTERS, self.reasons),
            "rules": [
                {"rule": rule, "titles": titles, "descriptions": self._contents[rule]}
                for rule, titles in self._titles.items()
            ],
            "lengths": self._before.rows("before") + self._after.rows("after"),
            "examples": self._examples.rows(),
        }
