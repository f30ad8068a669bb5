"""What is counted of the cleaning, and shown of it: drop reasons, what each rule changed, lengths, examples.

Covers the sums over all batches, and the rows of the plots. Holds counts and a few examples for any number
of records.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import polars as pl

from src.records.cleaning import CleanedBatch
from src.records.deduplication import TIES, count_ties
from src.records.examples import ChangeExamples
from src.records.filtering import KEPT, count_drop_reasons, funnel_rows
from src.records.filters import FILTERS
from src.records.length_histogram import LengthHistogram
from src.records.rules import Rule

ALONE = "kept, near no earlier one"


class CleaningStatistics:
    """The counts of all records added."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.reasons = Counter(dict.fromkeys([*(each.name for each in FILTERS), KEPT], 0))
        self._ties = dict.fromkeys(TIES, 0)
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

    def add_duplicates(self, reasons: pl.Series, ties: pl.Series) -> None:
        """Counts the duplicates among the records that were kept so far.

        Args:
            reasons: the drop reason of each, null where it stays.
            ties: why each stays that is near an earlier one, null for all others.
        """
        self.reasons[KEPT] = 0
        self.reasons.update(count_drop_reasons(reasons))
        self._ties = count_ties(ties)

    def add_written(self, records: pl.DataFrame) -> None:
        """Counts the lengths of clean records."""
        self._after.add(records)

    def metrics(self) -> dict[str, int]:
        """Records in all, by drop reason, kept though near an earlier one, and changed by each rule."""
        near = {f"kept_near_{reason}": records for reason, records in self._ties.items()}
        changed = {f"changed_{rule}": records for rule, records in self._records.items()}
        return {"records": self.reasons.total(), **self.reasons, **near, **changed}

    def plots(self) -> dict[str, list[dict[str, Any]]]:
        """The rows of each plot, by its name."""
        return {
            "funnel": self._funnel_rows(),
            "rules": [
                {"rule": rule, "titles": titles, "descriptions": self._contents[rule]}
                for rule, titles in self._titles.items()
            ],
            "lengths": self._before.rows("before") + self._after.rows("after"),
            "examples": self._examples.rows(),
        }

    def _funnel_rows(self) -> list[dict[str, str | int]]:
        """What became of the records, those kept in several rows: near an earlier one, by reason, and all others."""
        *dropped, _ = funnel_rows(FILTERS, self.reasons)
        rows: list[dict[str, str | int]] = [
            {"step": label, "records": self._ties[name]} for name, label in TIES.items()
        ]
        return [*dropped, *rows, {"step": ALONE, "records": self.reasons[KEPT] - sum(self._ties.values())}]
