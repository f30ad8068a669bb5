"""Gathers the tables, pages and reports that the stages leave in data/ into plots and reports, where git keeps them.

A stage of its own, as DVC's run cache leaves out a stage with an output that is committed, metrics apart: with its
plots among them, training would run again for every earlier result.
"""

import shutil
from pathlib import Path

from src.files import atomic_folder
from src.params import Params
from src.stages.runner import Outcome, run_stage

TABLES, PLOTS = Path("data/tables"), Path("plots")
REPORTS, COMMITTED_REPORTS = Path("data/reports"), Path("reports")


def main(params: Params) -> Outcome:
    """Copies every table, every page and every report."""
    tables, pages = (sorted(TABLES.glob(f"*/*.{ending}")) for ending in ("tsv", "html"))
    reports = sorted(REPORTS.glob("*.json"))
    copy_files([*tables, *pages], TABLES, PLOTS)
    copy_files(reports, REPORTS, COMMITTED_REPORTS)
    return Outcome(f"{len(tables)} tables, {len(pages)} pages and {len(reports)} reports")


def copy_files(files: list[Path], source: Path, target: Path) -> None:
    """Copies files into a folder that then holds nothing else.

    Args:
        files: below the source.
        source: the folder that their places are kept from.
        target: the folder that they are copied to.
    """
    with atomic_folder(target) as folder:
        for file in files:
            copy = folder / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)


if __name__ == "__main__":
    run_stage(main)
