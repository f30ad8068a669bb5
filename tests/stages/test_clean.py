"""clean: what is written and counted, batch by batch, under every kind of parameter; equal bytes in every run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.errors import UserError
from src.files import read_json
from src.params import CleanParams, ColumnParams, DataParams, Params
from src.records import parquet
from src.records.cleaning_statistics import ALONE
from src.records.deduplication import TIES
from src.records.filtering import KEPT
from src.records.filters import FILTERS
from src.stages import clean

ROOT = Path(__file__).parents[2]
LONG = "owls live in trees &amp; barns, and hunt at night for mice"
NEAR = "owls live in trees & barns, and hunt at night for mice and voles"
FLAWS = {  # by rule: what it removes or repairs at the end of a text
    "entities": "&amp;",
    "mojibake": "cafÃ©",
    "controls": "\x01",
    "unicode": "cafe\u0301",
    "markup": "<b>",
    "urls": "http://www.owls.example/barn",
    "emails": "owls@barn.example",
    "boilerplate": "This text refers to the Hardcover edition.",
    "glued": "It sleeps.The owl",
    "spaces": "a  b",
}
FILTER_PARAMS = {
    "markup_titles": True,
    "content_is_title": True,
    "language": "any",
    "duplicates": "near",
    "near_threshold": 0.7,
}
# Every other rule or filter is off: the tests of its room try it.
SWITCHES = [key for key, field in CleanParams.model_fields.items() if field.annotation is bool]
DEFAULTS: dict[str, Any] = dict.fromkeys(SWITCHES, False) | dict.fromkeys(FLAWS, True) | FILTER_PARAMS
ROWS = [
    ("1", "An&nbsp;owl", LONG),
    ("2", "Barns of the past", "barns of the past"),
    ("3", "AN OWL", LONG),
    ("4", "Café", LONG),
    ("5", "An owl (Import)", NEAR),
    ("6", "Owl & bat", "bats live in caves, and hunt at night for moths"),
]


def run(rows: list[tuple[str, str, str]], **changed: Any) -> list[str]:
    """The uids kept."""
    data = DataParams(
        raw="-",
        columns=ColumnParams(uid="uid", title="title", content="content"),
        lines=0,
        max_rejected_share=0.0,
        min_title_chars=3,
        min_content_chars=10,
    )
    with parquet.parquet_writer(clean.RECORDS) as append:
        append(pl.DataFrame(rows, schema=list(parquet.FIELDS), orient="row"))
    outcome = clean.main(Params.model_construct(data=data, clean=CleanParams.model_validate(DEFAULTS | changed)))
    assert list(outcome.measured) == ["near_duplicates_seconds", "near_duplicates_cpu_seconds"]
    return pl.read_parquet(clean.CLEAN)["uid"].to_list()


def metrics() -> dict[str, Any]:
    return read_json(clean.REPORT)


def plot(name: str) -> list[dict[str, Any]]:
    return pl.read_csv(f"{clean.TABLES}/{name}.tsv", separator="\t", infer_schema=False).to_dicts()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("rows", [1, 2, 50_000])
def test_records_are_cleaned_dropped_and_counted_over_batches(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "BATCH_ROWS", rows)
    assert run(ROWS) == ["1", "4", "6"]
    written = pl.read_parquet(clean.CLEAN)
    assert dict(written.schema) == parquet.KEYED_RECORDS
    assert written["title"].to_list() == ["An owl", "Café", "Owl & bat"]
    assert written["content"][0] == LONG.replace("&amp;", "&")
    counts = metrics()
    assert [counts[name] for name in ("content_is_title", "duplicate", "near_duplicate", "kept")] == [1, 1, 1, 3]
    assert counts["records"] == sum(counts[each.name] for each in FILTERS) + counts[KEPT] == 6
    assert (counts["changed_entities"], counts["near_duplicate_clusters"]) == (3, 1)
    assert {name: counts[f"kept_near_{name}"] for name in TIES} == dict.fromkeys(TIES, 0) | {"other_title": 1}
    assert sorted(os.listdir("data")) == ["clean.parquet", "records.parquet", "reports", "tables"]


def test_plots_show_what_became_of_the_records() -> None:
    run(ROWS)
    assert sorted(os.listdir(clean.TABLES)) == [
        f"{n}.tsv" for n in ("duplicates", "examples", "funnel", "lengths", "rules")
    ]
    steps = {row["step"]: int(row["records"]) for row in plot("funnel")}
    assert [steps[step] for step in ("near duplicate", TIES["other_title"], ALONE)] == [1, 1, 2]
    assert sum(steps.values()) == 6
    assert {"rule": "entities", "titles": "1", "descriptions": "3"} in plot("rules")
    shown = {"rule": "entities", "uid": "1", "field": "title", "before": "[An&nbsp;owl]", "after": r"[An\xa0owl]"}
    assert shown in plot("examples")
    pairs = [(row["outcome"], row["uid"], row["of_uid"]) for row in plot("duplicates")]
    assert pairs == [("duplicate", "3", "1"), ("near_duplicate", "5", "1"), (TIES["other_title"], "4", "1")]
    before, after = (
        sum(int(r["records"]) for r in plot("lengths") if r["when"] == when) for when in ("before", "after")
    )
    assert (before, after) == (12, 6)


def headers() -> dict[str, tuple[str, ...]]:
    return {path.stem: tuple(path.read_text().splitlines()[0].split("\t")) for path in Path(clean.TABLES).iterdir()}


def test_plots_without_rows_have_the_same_header_alone() -> None:
    run(ROWS)
    usual = headers()
    rows = [ROWS[0], ROWS[5]]  # near to none
    run(rows, **dict.fromkeys(FLAWS, False), duplicates="keep", markup_titles=False, content_is_title=False)
    assert headers() == usual
    assert [plot(name) for name in ("rules", "examples", "duplicates")] == [[], [], []]


@pytest.mark.parametrize(
    ("duplicates", "kept"),
    [("keep", ["1", "3", "4", "5", "6"]), ("exact", ["1", "4", "5", "6"]), ("near", ["1", "4", "6"])],
)
def test_what_is_dropped_as_a_duplicate_is_a_parameter_and_what_is_near_is_tied(
    duplicates: str, kept: list[str]
) -> None:
    assert run(ROWS, duplicates=duplicates) == kept
    written = pl.read_parquet(clean.CLEAN)
    near_keys = dict(written.select("uid", "near_key").iter_rows())
    assert len({key for uid, key in near_keys.items() if uid in "1345"}) == 1
    assert near_keys["6"] == written.filter(uid="6")["content_key"].item()
    assert metrics()["near_duplicate_clusters"] == 1


def test_the_threshold_of_near_duplicates_is_a_parameter() -> None:
    assert run(ROWS, near_threshold=1.0) == ["1", "4", "5", "6"]


def test_near_contents_of_another_product_stay_and_are_tied() -> None:
    tube = "clear tube of soft plastic for pumps, pipes and tanks, sold by the foot, of use for hot water and air"
    rows = [
        ("1", "Tube 3/4 in", f"{tube}, 3/4 in wide"),
        ("2", "Tube 1/2 in", f"{tube}, 1/2 in wide"),
        ("3", "Tube 3/4 in", f"{tube}, 3/4 in wide or so"),
        ("4", "Tube 3/4 in", f"{tube}, 34 in wide"),
        ("5", "Hose", f"{tube}, 3/4 in wide"),
    ]
    assert run(rows) == ["1", "2", "4", "5"]
    assert pl.read_parquet(clean.CLEAN)["near_key"].n_unique() == 1
    assert {name: metrics()[f"kept_near_{name}"] for name in ("other_title", "other_numbers")} == {
        "other_title": 2,
        "other_numbers": 1,
    }


def test_contents_with_equal_letters_are_one_cluster_and_of_one_product_one_stays() -> None:
    rows = [
        ("1", "BJs Bag", "isnt it"),
        ("2", "BJ's Bag (Import)", "isn’t it"),
        ("3", "BJ’s Bag", "isn't it"),
        ("4", "Box", "isnt it"),
    ]
    assert run([(uid, title, f"a bag for nine, {content}?") for uid, title, content in rows]) == ["1", "4"]
    counts = metrics()
    assert [counts[name] for name in ("duplicate", "near_duplicate", "near_duplicate_clusters")] == [1, 1, 1]
    assert pl.read_parquet(clean.CLEAN)["near_key"].n_unique() == 1


@pytest.mark.parametrize("rule", FLAWS)
def test_each_rule_has_its_switch(rule: str) -> None:
    rows = [("1", "An owl", f"{LONG} {FLAWS[rule]}")]
    run(rows)
    cleaned = pl.read_parquet(clean.CLEAN)["content"][0]
    assert metrics()[f"changed_{rule}"] == 1
    run(rows, **{rule: False})
    assert pl.read_parquet(clean.CLEAN)["content"][0] != cleaned
    assert f"changed_{rule}" not in metrics()


def test_ascii_is_an_option() -> None:
    run(ROWS[3:4], ascii=True)
    assert pl.read_parquet(clean.CLEAN)["title"].to_list() == ["Cafe"]
    assert "changed_ascii" in metrics()


def test_filters_have_their_switches() -> None:
    assert run([ROWS[1], ROWS[5]]) == ["6"]
    assert run([ROWS[1], ROWS[5]], content_is_title=False) == ["2", "6"]
    scraped = ("7", '<span id="owl">An owl</span>', LONG)
    assert run([scraped, ROWS[5]]) == ["6"]
    assert run([scraped, ROWS[5]], markup_titles=False) == ["7", "6"]


def test_one_language_may_be_kept_alone() -> None:
    assert run([ROWS[0], ("7", "Eulen", "Eulen leben in Bäumen und Scheunen und jagen bei Nacht.")], language="de") == [
        "7"
    ]
    assert metrics()["other_language"] == 1
    with pytest.raises(UserError, match=r"clean\.language is 'xx'"):
        run(ROWS, language="xx")


def test_no_record_left_is_a_user_error_and_leaves_the_last_result() -> None:
    run(ROWS)
    before = {
        path: path.read_bytes() for path in Path().rglob("*.*") if path.is_file() and path.name != "records.parquet"
    }
    with pytest.raises(
        UserError, match=r"\(1 too short when clean\): lower data\.min_title_chars or .*, or set another"
    ):
        run([("1", "An owl", "<b>owls</b>")])
    assert {path: path.read_bytes() for path in before} == before
    assert sorted(os.listdir("data")) == ["clean.parquet", "records.parquet", "reports", "tables"]


def test_the_ground_truth_is_not_needed_to_clean_the_sample(folder: Path) -> None:
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, folder)
    (folder / "data/sample").mkdir(parents=True)
    shutil.copy(ROOT / "data/sample/trn.json.gz", folder / "data/sample")
    start("decompress", cores=2, seed="1")
    start("clean", cores=2, seed="1")
    assert not {"truth", "ground_truth"} & metrics().keys()


def test_two_runs_on_the_sample_write_the_same_bytes_whatever_the_threads_and_the_hashes(folder: Path) -> None:
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "data/sample", folder / "data/sample")
    start("decompress", cores=2, seed="1")
    start("clean", cores=1, seed="1")
    first = written()
    start("clean", cores=2, seed="2")
    assert written() == first


def start(stage: str, cores: int, seed: str) -> None:
    """Runs a stage as a process on so many cores, if the machine has them."""
    settings = {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed, "POLARS_MAX_THREADS": str(cores)}
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    done = subprocess.run(
        [sys.executable, "-m", f"src.stages.{stage}"],
        env=os.environ | settings,
        preexec_fn=lambda: os.sched_setaffinity(0, allowed),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def written() -> dict[str, bytes]:
    """The bytes of everything that the stage writes."""
    return {
        str(path): path.read_bytes() for path in [Path(clean.CLEAN), Path(clean.REPORT), *Path(clean.TABLES).iterdir()]
    }
