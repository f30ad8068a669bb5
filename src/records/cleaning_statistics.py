"""What is counted of the cleaning, and shown of it: verdicts, what each rule changed, lengths, examples, scores.

Covers the sums over all batches, and the rows of the plots. Holds counts and a few examples, whatever the number of
records; on the embedded sample also what became of each record.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import polars as pl

from src.records.cleaning import VERDICTS, CleanedBatch
from src.records.examples import ChangeExamples
from src.records.ground_truth import GroundTruth
from src.records.length_histogram import LengthHistogram
from src.records.rules import Rule


class CleaningStatistics:
    """The counts of all records added; `after` is to be filled with the records that are written."""

    def __init__(self, rules: Sequence[Rule], truth: GroundTruth | None) -> None:
        self.verdicts = Counter(dict.fromkeys(VERDICTS, 0))
        self.after = LengthHistogram()
        self._before = LengthHistogram()
        self._titles, self._contents, self._records = (Counter({rule.name: 0 for rule in rules}) for _ in range(3))
        self._examples = ChangeExamples(rules)
        self._truth = truth

    def add(self, cleaned: CleanedBatch) -> None:
        """Counts a batch."""
        self.verdicts.update(cleaned.after["verdict"].to_list())
        self._before.add(cleaned.before)
        for rule, title in cleaned.titles.items():
            content = cleaned.contents[rule]
            self._titles[rule] += int(title.sum())
            self._contents[rule] += int(content.sum())
            self._records[rule] += int((title | content).sum())
        self._examples.add(cleaned)
        if self._truth:
            self._truth.add(cleaned)

    def judge(self, verdicts: pl.Series) -> None:
        """Takes the final verdicts of the records that were kept so far, in order."""
        self.verdicts["kept"] = 0
        self.verdicts.update(dict(verdicts.value_counts().iter_rows()))
        if self._truth:
            self._truth.judge(verdicts)

    def metrics(self) -> dict[str, Any]:
        """Records in all, by verdict, and changed by each rule in title or content; scores where the truth is known."""
        changed = {f"changed_{rule}": records for rule, records in self._records.items()}
        scores = {"truth": self._truth.scores()} if self._truth else {}
        return {"records": self.verdicts.total(), **self.verdicts, **changed, **scores}

    def plots(self) -> dict[str, list[dict[str, Any]]]:
        """The rows of each plot, by its name."""
        return {
            "funnel": [{"step": VERDICTS[verdict], "records": count} for verdict, count in self.verdicts.items()],
            "rules": [
                {"rule": rule, "titles": titles, "descriptions": self._contents[rule]}
                for rule, titles in self._titles.items()
            ],
            "lengths": self._before.rows("before") + self.after.rows("after"),
            "examples": self._examples.rows(),
        }
