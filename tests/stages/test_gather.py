"""gather: every table, page and report of data/ is there as it is, and none that a stage no longer writes."""

from pathlib import Path

from src.files import read_json, read_tsv, write_json, write_tsv
from src.params import load_params
from src.stages import gather

ROWS = [{"step": "1", "loss": "2.5"}]


def test_tables_and_reports_are_gathered_as_they_are(project: Path) -> None:
    write_tsv("data/tables/train/training.tsv", ROWS)
    write_tsv("data/tables/audit/lengths.tsv", ROWS)
    write_json("data/reports/train.json", {"steps": 2})
    Path("data/tables/evaluate").mkdir()
    Path("data/tables/evaluate/report.html").write_text("<h1>Scores</h1>")
    write_tsv("plots/train/removed.tsv", ROWS)
    write_json("reports/removed.json", {})
    (project / "data/tables/.gitignore").write_text("/train\n")
    (project / "data/reports/.gitignore").write_text("/train.json\n")
    assert gather.main(load_params()).line == "2 tables, 1 pages and 1 reports"
    files = {str(path) for folder in ("plots", "reports") for path in Path(folder).rglob("*") if path.is_file()}
    tables = {"plots/train/training.tsv", "plots/audit/lengths.tsv"}
    assert files == {*tables, "plots/evaluate/report.html", "reports/train.json"}
    assert Path("plots/evaluate/report.html").read_text() == "<h1>Scores</h1>"
    assert read_tsv("plots/train/training.tsv") == ROWS
    assert read_json("reports/train.json") == {"steps": 2}
