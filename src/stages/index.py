"""Writes data/index.sqlite, in which the titles of all clean records are searched (`python -m src.serving.search`)."""

from src.params import Params
from src.records.parquet import FIELDS, read_batches
from src.serving.index import write_index
from src.stages.runner import Outcome, run_stage

CLEAN, INDEX = "data/clean.parquet", "data/index.sqlite"


def main(_params: Params) -> Outcome:
    """Writes the index."""
    count = write_index(INDEX, read_batches(CLEAN, FIELDS, "Indexing"))
    return Outcome(f"the titles of {count:,} records can be searched")


if __name__ == "__main__":
    run_stage(main)
