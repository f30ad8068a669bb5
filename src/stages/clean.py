"""Cleans the texts of data/records.parquet into data/clean.parquet, without duplicates; counts what was done.

The rules and their order are the table in src/records/rules.py, the reasons to drop a record that in
src/records/filters.py.
"""

from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import polars as pl

from src.files import atomic_folder, write_json, write_tsv
from src.params import Params
from src.records.clean_files import clean_texts, plan_duplicates, read_planned
from src.records.cleaning_statistics import CleaningStatistics
from src.records.deduplication import count_near_clusters
from src.records.examples import DuplicateExamples
from src.records.filtering import KEPT, kept_records
from src.records.filters import FILTERS
from src.records.parquet import KEYED_RECORDS, parquet_writer
from src.records.refusals import check_clean_records
from src.records.rules import enabled_rules
from src.stages.runner import Outcome, run_stage

RECORDS, CLEAN = "data/records.parquet", "data/clean.parquet"
REPORT, TABLES = "data/reports/clean.json", "data/tables/clean"
CANDIDATES = "data/.candidates.partial"  # the clean records before duplicates are looked for
COLUMNS = {  # of the tables that may have no rows
    "rules": ("rule", "titles", "descriptions"),
    "examples": ("rule", "uid", "field", "before", "after"),
    "duplicates": ("outcome", "uid", "of_uid", "title", "of_title", "content", "of_content"),
}


def main(params: Params) -> Outcome:
    """Cleans, compares, writes, and measures the seconds that near duplicates take."""
    statistics = CleaningStatistics(enabled_rules(params.clean))
    try:
        index = clean_texts(RECORDS, CANDIDATES, params, statistics.add)
        check_clean_records(RECORDS, statistics.reasons, FILTERS)
        begun, begun_cpu = perf_counter(), process_time()
        plan = index.hstack(plan_duplicates(CANDIDATES, index, params.clean))
        seconds, cpu_seconds = perf_counter() - begun, process_time() - begun_cpu
        examples = DuplicateExamples(plan)
        write_clean(plan, statistics, examples)
    finally:  # after an error too: the file is as large as the clean records
        Path(CANDIDATES).unlink(missing_ok=True)
    statistics.add_duplicates(plan["drop_reason"], plan["tie"])
    write_json(REPORT, {"near_duplicate_clusters": count_near_clusters(plan), **statistics.metrics()})
    write_tables({**statistics.plots(), "duplicates": examples.rows()})
    line = f"{statistics.reasons[KEPT]:,} of {statistics.reasons.total():,} records kept"
    measured = {"near_duplicates_seconds": round(seconds, 1), "near_duplicates_cpu_seconds": round(cpu_seconds, 1)}
    return Outcome(line, measured)


def write_clean(plan: pl.DataFrame, statistics: CleaningStatistics, examples: DuplicateExamples) -> None:
    """Writes the candidates that stay, with their keys.

    Args:
        plan: of each candidate its drop reason and its near_key.
        statistics: counts what is written.
        examples: takes the texts of some that are dropped.
    """
    with parquet_writer(CLEAN, KEYED_RECORDS) as append:
        for records in read_planned(CANDIDATES, plan):
            kept = kept_records(records)
            append(kept)
            statistics.add_written(kept)
            examples.add(records)


def write_tables(tables: dict[str, list[dict[str, Any]]]) -> None:
    """Writes each table's rows, all at once; the header alone, which `dvc plots` wants, where there are none."""
    with atomic_folder(TABLES) as folder:
        for name, rows in tables.items():
            if rows:
                write_tsv(folder / f"{name}.tsv", rows)
            else:
                (folder / f"{name}.tsv").write_text("\t".join(COLUMNS[name]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_stage(main)
