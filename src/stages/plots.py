"""Gathers the tables that the stages leave in data/tables into plots, where git keeps them and DVC draws them.

A stage of its own, as DVC's run cache leaves out a stage with an output that is committed, metrics apart: with its
plots among them, training would run again for every earlier result.
"""

import shutil
from pathlib import Path

from src.files import atomic_folder
from src.params import Params
from src.stages.runner import Outcome, run_stage

TABLES, PLOTS = Path("data/tables"), Path("plots")


def main(params: Params) -> Outcome:
    """Copies every table."""
    tables = sorted(TABLES.glob("*/*.tsv"))
    with atomic_folder(PLOTS) as folder:
        for table in tables:
            copy = folder / table.relative_to(TABLES)
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(table, copy)
    return Outcome(f"{len(tables)} tables")


if __name__ == "__main__":
    run_stage(main)
