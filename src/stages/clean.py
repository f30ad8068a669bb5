"""Cleans the texts of data/records.parquet into data/clean.parquet, without duplicates; counts all that was done.

First the texts, batch by batch, in threads; then records are compared with each other, by numbers alone, and those that
stay are written. The rules and their order are the table in src/records/rules.py.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl

from src.errors import UserError
from src.files import atomic_folder, write_json, write_tsv
from src.params import CleanParams, Params
from src.records import ground_truth
from src.records.cleaning import VERDICTS, FilterSettings, clean_batch
from src.records.cleaning_statistics import CleaningStatistics
from src.records.deduplication import count_near_clusters, mark_duplicates
from src.records.examples import DuplicateExamples, example_keys
from src.records.language import LanguageFilter
from src.records.near_duplicates import NearDuplicateFinder
from src.records.parquet import KEYED_RECORDS, map_in_order, parquet_writer, read_batches
from src.records.rules import Rule, enabled_rules
from src.stages.runner import run_stage

RECORDS, CLEAN, METRICS, PLOTS = "data/records.parquet", "data/clean.parquet", "metrics/clean.json", "plots/clean"
ADVICE = {
    "markup_title": "set clean.markup_titles to false",
    "unsettled": "set clean.markup to false",
    "too_short": "lower data.min_content_chars",
    "content_is_title": "set clean.content_is_title to false",
    "other_language": "set clean.language to any",
}
COLUMNS = {  # of the plots that may have no rows
    "rules": ("rule", "titles", "descriptions"),
    "examples": ("rule", "uid", "field", "before", "after"),
    "duplicates": ("kind", "uid", "of_uid", "title", "of_title", "content", "of_content"),
}
CANDIDATES = "data/.candidates.partial"  # the clean records before duplicates are looked for


def main(params: Params) -> dict[str, float]:
    """Cleans, compares, writes; records = the sum of VERDICTS. Returns the seconds that near duplicates took."""
    rules = enabled_rules(rule_switches(params.clean))
    tally = CleaningStatistics(rules, ground_truth.load_ground_truth(params.data.raw, rules))
    try:
        index = clean_texts(rules, filter_settings(params), tally)
        begun = perf_counter()
        clusters = find_clusters(params.clean.near_threshold)
        seconds = perf_counter() - begun
        plan = index.hstack(mark_duplicates(index, clusters, params.clean.duplicates))
        repeats = write_clean(plan, tally)
    finally:
        Path(CANDIDATES).unlink(missing_ok=True)
    tally.judge(plan["verdict"])
    write_json(METRICS, {"near_duplicate_clusters": count_near_clusters(plan), **tally.metrics()})
    write_plots({**tally.plots(), "duplicates": repeats})
    print(f"{tally.verdicts['kept']} of {tally.verdicts.total()} records kept.")
    return {"near_duplicates_seconds": round(seconds, 1)}


def rule_switches(clean: CleanParams) -> dict[str, bool]:
    """Whether each rule is on."""
    characters = {"entities": clean.entities, "mojibake": clean.mojibake, "controls": clean.controls}
    foreign = {"markup": clean.markup, "urls": clean.urls, "emails": clean.emails, "boilerplate": clean.boilerplate}
    forms = {"unicode": clean.unicode, "glued": clean.glued, "ascii": clean.ascii, "spaces": clean.spaces}
    return characters | foreign | forms


def filter_settings(params: Params) -> FilterSettings:
    """Which records are dropped on their own account."""
    clean, data = params.clean, params.data
    language = None if clean.language == "any" else LanguageFilter(clean.language)
    return FilterSettings(
        data.min_title_chars, data.min_content_chars, clean.markup_titles, clean.content_is_title, language
    )


def clean_texts(rules: Sequence[Rule], drops: FilterSettings, tally: CleaningStatistics) -> pl.DataFrame:
    """Cleans all records and writes those that stay so far to CANDIDATES; their keys, and a lot by which to draw.

    Raises:
        UserError: if none stays.
    """
    index = []
    with parquet_writer(CANDIDATES) as keep:
        for cleaned in map_in_order(partial(clean_batch, rules=rules, drops=drops), read_batches(RECORDS)):
            tally.add(cleaned)
            kept = cleaned.after.filter(verdict="kept")
            keep(kept)
            index.append(kept.select("title_key", "content_key", example_keys(kept["uid"])))
    if not tally.verdicts["kept"]:
        dropped = ", ".join(f"{count} {VERDICTS[name]}" for name, count in tally.verdicts.items() if count)
        [(most, _)] = tally.verdicts.most_common(1)
        raise UserError(f"{RECORDS}: no record is left ({dropped}): {ADVICE[most]}, or set another data.raw.")
    return pl.concat(index)


def find_clusters(threshold: float) -> np.ndarray:
    """For each candidate the position of the first one of its cluster of near contents."""
    near = NearDuplicateFinder(threshold)
    for signatures in map_in_order(near.signatures, candidate_contents()):
        near.add(signatures)
    return near.clusters(candidate_contents)


def candidate_contents() -> Iterator[pl.Series]:
    """The contents of the candidates, in order."""
    return (batch["content"] for batch in read_batches(CANDIDATES, ["content"]))


def write_clean(plan: pl.DataFrame, tally: CleaningStatistics) -> list[dict[str, str]]:
    """Writes the candidates that stay, as `plan` has it; returns rows that show some of those that do not."""
    drawn = DuplicateExamples(plan)
    start = 0
    with parquet_writer(CLEAN, KEYED_RECORDS) as keep:
        for batch in read_batches(CANDIDATES):
            records = batch.hstack(plan.slice(start, batch.height))
            start += batch.height
            kept = records.filter(verdict="kept")
            keep(kept)
            tally.after.add(kept)
            drawn.add(records)
    return drawn.rows()


def write_plots(plots: dict[str, list[dict[str, Any]]]) -> None:
    """Writes each plot's rows, all at once; the header alone, which `dvc plots` wants, where there are none."""
    with atomic_folder(PLOTS) as folder:
        for name, rows in plots.items():
            if rows:
                write_tsv(folder / f"{name}.tsv", rows)
            else:
                (folder / f"{name}.tsv").write_text("\t".join(COLUMNS[name]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_stage(main)
