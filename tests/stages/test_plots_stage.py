"""plots: every table of data/tables is there as it is, and none that a stage no longer writes."""

from pathlib import Path

from src.files import read_tsv, write_tsv
from src.params import load_params
from src.stages import plots

ROWS = [{"step": "1", "loss": "2.5"}]


def test_the_tables_are_gathered_as_they_are(project: Path) -> None:
    write_tsv("data/tables/train/training.tsv", ROWS)
    write_tsv("data/tables/audit/lengths.tsv", ROWS)
    write_tsv("plots/train/removed.tsv", ROWS)
    (project / "data/tables/.gitignore").write_text("/train\n")
    assert plots.main(load_params()).line == "2 tables"
    files = {str(path) for path in Path("plots").rglob("*") if path.is_file()}
    assert files == {"plots/train/training.tsv", "plots/audit/lengths.tsv"}
    assert read_tsv("plots/train/training.tsv") == ROWS
