"""Examples that a reviewer reads in a diff: what the rules changed, and which records were dropped.

Covers which records are shown and how. They are drawn by a hash of their uid: spread over the file, and the same ones
each time.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle, islice
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from src.records.cleaning import CleanedBatch
from src.records.deduplication import TIES
from src.records.filters import COMPARING_FILTERS, FILTERS
from src.records.rules import MAX_PASSES, Rule, apply_rule
from src.records.text_keys import uid_keys

SHOWN = 10  # of each rule, and of each drop reason
LEAD, WIDTH = 20, 60  # characters shown before the first difference, and in all


class Example(NamedTuple):
    """A text drawn to be shown, as it was before cleaning."""

    uid_key: int
    uid: str
    field: str
    text: str


def lowest_positions(keys: pl.Series, hit: np.ndarray) -> list[int]:
    """The positions of the SHOWN lowest keys; of equal ones the first.

    Args:
        keys: a number for each record.
        hit: which records to draw from, a boolean each.
    """
    positions = np.flatnonzero(hit)
    return positions[np.argsort(keys.to_numpy()[positions], kind="stable")[:SHOWN]].tolist()


class ChangeExamples:
    """The records drawn for each rule, and for each drop reason that needs no other record to be seen."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._changed: dict[str, list[Example]] = {rule.name: [] for rule in rules}
        self._dropped: dict[str, list[Example]] = {each.name: [] for each in FILTERS if each not in COMPARING_FILTERS}

    def add(self, cleaned: CleanedBatch) -> None:
        """Draws from a batch; of a record whose texts both changed, the title is shown."""
        keys = uid_keys(cleaned.before["uid"])
        for name in self._changed:
            title, content = cleaned.changed_titles[name], cleaned.changed_contents[name]
            drawn = draw_examples(cleaned.before, keys, title | content, title)
            self._changed[name] = lowest_examples([*self._changed[name], *drawn])
        for name in self._dropped:
            hit = cleaned.after["drop_reason"].eq_missing(name).to_numpy()
            drawn = draw_examples(cleaned.before, keys, hit, cleaned.in_title)
            self._dropped[name] = lowest_examples([*self._dropped[name], *drawn])

    def rows(self) -> list[dict[str, str]]:
        """The examples of each rule and each drop reason: rule, uid, field, before and after that rule."""
        changed = [row for rule in self._rules for row in self._change_rows(rule)]
        dropped = [
            example_row(name, example, text_excerpt(example.text, 0), "(dropped)")
            for name, examples in self._dropped.items()
            for example in examples
        ]
        return changed + dropped

    def _change_rows(self, rule: Rule) -> Iterable[dict[str, str]]:
        drawn = self._changed[rule.name]
        texts = pl.Series([example.text for example in drawn], dtype=pl.String)
        for example, change in zip(drawn, first_changes(rule, texts, self._rules), strict=True):
            yield example_row(rule.name, example, *difference_window(*change))


def draw_examples(records: pl.DataFrame, keys: pl.Series, hit: np.ndarray, in_title: np.ndarray) -> Iterator[Example]:
    """The records with the lowest keys, each by one of its texts.

    Args:
        records: uid, title and content.
        keys: the uid_keys of the records.
        hit: which records to draw from, a boolean each.
        in_title: whether to show the title, and not the content, a boolean each.
    """
    for position in lowest_positions(keys, hit):
        field = "title" if in_title[position] else "content"
        yield Example(keys[position], records["uid"][position], field, records[field][position])


def lowest_examples(examples: Sequence[Example]) -> list[Example]:
    """The SHOWN examples with the lowest keys; of equal ones the first."""
    return sorted(examples, key=lambda example: example.uid_key)[:SHOWN]


def example_row(rule: str, example: Example, before: str, after: str) -> dict[str, str]:
    """A row of the plot.

    Args:
        rule: the name of a rule or a drop reason.
        example: whose uid and field are shown.
        before: an excerpt of the text.
        after: the same excerpt after the rule.
    """
    uid = escape_invisible(example.uid)
    return {"rule": rule, "uid": uid, "field": example.field, "before": before, "after": after}


class DuplicateExamples:
    """Some records that are dropped as duplicates or stay near an earlier one, of each kind those with the lowest keys.

    Each is shown beside the one that it repeats or is near to.
    """

    def __init__(self, plan: pl.DataFrame) -> None:
        """Draws from all candidates, given by `uid_key`, `drop_reason`, `tie` and `original`, what they are near."""
        hits = {each.name: plan["drop_reason"].eq_missing(each.name).to_numpy() for each in COMPARING_FILTERS}
        hits |= {label: plan["tie"].eq_missing(name).to_numpy() for name, label in TIES.items()}
        self._drawn = [
            (outcome, position, plan["original"][position])
            for outcome, hit in hits.items()
            for position in lowest_positions(plan["uid_key"], hit)
        ]
        self._records: dict[int, dict[str, Any]] = {}
        self._start = 0

    def add(self, records: pl.DataFrame) -> None:
        """Takes the texts of those drawn from a batch of all candidates, one batch after the other."""
        inside = range(self._start, self._start + records.height)
        for position in sorted({position for _, *pair in self._drawn for position in pair if position in inside}):
            self._records[position] = records.row(position - self._start, named=True)
        self._start += records.height

    def rows(self) -> list[dict[str, str]]:
        """One row for each: outcome, uid, of_uid, title, of_title, content, of_content."""
        return [
            duplicate_row(outcome, self._records[position], self._records[original])
            for outcome, position, original in self._drawn
        ]


def duplicate_row(outcome: str, record: dict[str, str], other: dict[str, str]) -> dict[str, str]:
    """A record beside the one that it repeats or is near to.

    Args:
        outcome: the drop reason, or the label of the reason why it stays.
        record: uid, title and content.
        other: uid, title and content of the earlier one.
    """
    title, of_title = difference_window(record["title"], other["title"])
    content, of_content = difference_window(record["content"], other["content"])
    uids = {"uid": escape_invisible(record["uid"]), "of_uid": escape_invisible(other["uid"])}
    texts = {"title": title, "of_title": of_title, "content": content, "of_content": of_content}
    return {"outcome": outcome} | uids | texts


def first_changes(rule: Rule, texts: pl.Series, rules: Sequence[Rule]) -> list[tuple[str, str]]:
    """Each text before and after a rule changes it for the first time.

    Args:
        rule: one of `rules`.
        texts: texts that it changes sooner or later.
        rules: in their order; they are applied again and again, as in cleaning.
    """
    found: dict[int, tuple[str, str]] = {}
    for each in islice(cycle(rules), MAX_PASSES * len(rules)):
        after, hit = apply_rule(each, texts)
        for position in hit.tolist() if each is rule else ():
            found.setdefault(position, (texts[position], after[position]))
        texts = after
        if len(found) == len(texts):  # nearly always in the first pass
            break
    return [found[position] for position in range(len(texts))]


def difference_window(text: str, other: str) -> tuple[str, str]:
    """The same part of two texts, around where they first differ; a bracket is an end of the text, at a … it goes on.

    Args:
        text: a text.
        other: another one, or an equal one, of which the beginning is shown.
    """
    pairs = enumerate(zip(text, other, strict=False))
    same = next((position for position, (sign, another) in pairs if sign != another), min(len(text), len(other)))
    start = max(0, same - LEAD) if text != other else 0
    return text_excerpt(text, start), text_excerpt(other, start)


def text_excerpt(text: str, start: int) -> str:
    """WIDTH characters of a text, or as many as there are, invisible ones escaped.

    Args:
        text: the text.
        start: the position of the first character shown.
    """
    opening, closing = "…" if start else "[", "…" if start + WIDTH < len(text) else "]"
    return opening + escape_invisible(text[start : start + WIDTH]) + closing


def escape_invisible(text: str) -> str:
    r"""The text with tabs, line ends and other invisible characters escaped, as in \t and \u200b."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
