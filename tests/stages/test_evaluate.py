"""evaluate: every system on the same records, a new row is a new system, refusals leave the last result."""

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from src.errors import UserError
from src.files import read_json, read_tsv, write_jsonl
from src.params import EvaluateParams, Params
from src.scoring.judgements import Judgements, make_judgement, write_judgements
from src.scoring.scores import SCORES
from src.scoring.systems import SYSTEMS, System
from src.stages import evaluate
from src.stages.evaluate import NO_ENCODER, main
from tests.tiny_encoder import write_encoder

ROOT = str(Path(__file__).parents[2])
PLOTTED = [score.name for score in SCORES if score.plotted]
ALL_RIGHT = {"facts_stated": 100.0, "facts_wrong": 0.0}
NO_PARAMS = Params.model_construct(evaluate=EvaluateParams.model_construct(bertscore=NO_ENCODER))
CALL = """
from src.params import EvaluateParams
from src.stages.evaluate import NO_ENCODER, Params, main
main(Params.model_construct(evaluate=EvaluateParams.model_construct(bertscore=NO_ENCODER)))
"""
TRAIN = {
    "uid": ["T1", "T2", "T3"],
    "title": ["Brass Lamp", "Red Canvas Bag", "Garden Hose"],
    "content": ["A lamp made of brass.", "This red bag is made of canvas.", "A hose for the garden."],
    "stratum": ["0-0", "0-0", "0-0"],
}
MODELS = ("base", "few_shot", "tuned")
TRUTH = {
    "values": {"material": ["Brass", "Steel"], "kind": ["Lamp", "Desk Lamp"]},
    "records": {"E1": {"stated": {"material": ["Brass"], "kind": ["Desk Lamp"]}, "implied": {}}},
}
TEST = [("E1", "Brass Desk Lamp", "A desk lamp made of brass."), ("E2", "Blue Bag", "This blue bag is made of canvas.")]


def rows(answers: list[str], loss: float) -> list[dict]:
    return [
        {
            "uid": uid,
            "title": title,
            "prompt": "Describe it.",
            "answer": answer,
            "reference": reference,
            "tokens": len(answer.split()),
            "finish_reason": "stop",
            "prompt_tokens": 5,
            "loss": loss,
            "loss_tokens": 8,
        }
        for (uid, title, reference), answer in zip(TEST, answers, strict=True)
    ]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("data/split").mkdir(parents=True)
    pl.DataFrame(TRAIN).write_parquet("data/split/train.parquet")
    topics = {"uid": [uid for uid, *_ in TEST], "topic": ["1: lamps", "2: bags"]}
    pl.DataFrame(topics).write_parquet("data/split/test.parquet")
    Path("data/sample").mkdir()
    evaluate.FACTS.write_bytes(gzip.compress(json.dumps(TRUTH).encode()))
    write_jsonl("data/generations/base.jsonl", rows(["lamp lamp lamp lamp lamp", ""], 40.0))
    write_jsonl("data/generations/few_shot.jsonl", rows(["A lamp made of brass.", "A bag."], 24.0))
    write_jsonl("data/generations/tuned.jsonl", rows(["A desk lamp made of brass.", "A blue bag."], 16.0))
    write_judgements(evaluate.JUDGEMENTS, Judgements(judge="", model="", judgements=[]))
    return tmp_path


def written() -> dict:
    return json.loads(Path("data/reports/evaluate.json").read_text(encoding="utf-8"))


def test_systems_are_scored_on_the_same_records(project: Path) -> None:
    outcome = main(NO_PARAMS)
    scores = written()
    assert scores["records"] == 2
    assert scores["base"]["answer_loss"] == 5.0
    assert scores["tuned"]["answer_loss"] == 2.0
    gain = scores["difference"]["tuned_minus_base"]["answer_loss"]
    assert [gain[bound] for bound in ("estimate", "low", "high")] == [-3.0] * 3
    assert gain["verdict"] == "too few records"
    assert scores["nearest"]["rougeL"] == pytest.approx(
        100 * (10 / 11 + 6 / 7) / 2
    )  # the lamp's text and the red bag's
    assert scores["nearest"]["verbatim_copy_rate"] == 1.0
    assert re.search(r"ROUGE-L base [\d.]+, tuned 7\d\.\d, nearest 88\.3;? ?.* 2 records$", outcome.line)


def test_a_judges_verdicts_are_in_the_report_where_there_are_any(project: Path) -> None:
    main(NO_PARAMS)
    assert "judge" not in written()
    verdicts = [make_judgement(uid, ("tuned", "base"), "A", "B") for uid in ("E1", "E2")]
    write_judgements(evaluate.JUDGEMENTS, Judgements(judge="other", model="m", judgements=verdicts))
    main(NO_PARAMS)
    assert written()["judge"]["tuned_against_base"]["preferred"]["estimate"] == 100.0


def test_facts_are_those_of_the_truth_or_of_the_title(project: Path) -> None:
    main(NO_PARAMS)
    scores = written()
    # Of the lamp its kind and material are known, of the bag its name for want of better: no description has "blue".
    assert [scores[name]["facts_stated"] for name in ("base", "tuned")] == [0.0, 100.0]
    assert scores["nearest"]["facts_stated"] == pytest.approx(100 / 3, abs=1e-6)
    assert [scores[name]["facts_wrong"] for name in ("base", "tuned", "nearest")] == [100.0, 0.0, 50.0]
    intervals = scores["interval"]["tuned"]
    assert all(intervals[score] == {"low": bound, "high": bound} for score, bound in ALL_RIGHT.items())
    header, *lines = [line.split("\t") for line in Path("data/tables/evaluate/facts.tsv").read_text().splitlines()]
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    assert list(dict.fromkeys(row["attribute"] for row in rows)) == ["all facts", "material", "kind", "name"]
    shown = {
        row["system"]: row["percent"] for row in rows if (row["measure"], row["attribute"]) == ("stated", "all facts")
    }
    assert shown == {"base": "0.0", "tuned": "100.0", "nearest": "33.33", "reference": "100.0"}


def test_the_plot_and_the_metrics_repeat_the_report(project: Path) -> None:
    main(NO_PARAMS)
    rows, scores = read_tsv("data/tables/evaluate/scores.tsv"), written()
    assert [row["system"] for row in rows] == [system.name for system in SYSTEMS] * len(PLOTTED)
    assert [float(row["value"]) for row in rows] == [scores[one.name][name] for name in PLOTTED for one in SYSTEMS]
    assert [row["low"] for row in rows if row["score"].startswith("ROUGE-L") and row["system"] == "nearest"] == [
        str(scores["interval"]["nearest"]["rougeL"]["low"])
    ]
    metrics = read_json("metrics/evaluate.json")
    assert metrics["facts_stated"] == {name: scores[name]["facts_stated"] for name in ("base", "tuned", "nearest")}
    assert len(metrics["test_records"]) == 8


def test_slices_and_verdicts_are_in_the_report_the_tables_and_the_closing_line(project: Path) -> None:
    outcome = main(NO_PARAMS)
    scores = written()
    assert list(scores["slices"]["topic"]) == ["1: lamps", "2: bags"]
    lamps = scores["slices"]["topic"]["1: lamps"]
    assert lamps["records"] == 1
    assert lamps["value"]["tuned"]["facts_stated"] == {"estimate": 100.0, "low": None, "high": None}
    assert "; tuned against base: too few records, in facts of the title stated (%), stated facts" in outcome.line
    shown = {row["slice"] for row in read_tsv("data/tables/evaluate/slices.tsv")}
    assert {"all records", "1: lamps", "2: bags"} <= shown
    verdicts = {row["than"]: row["verdict"] for row in read_tsv("data/tables/evaluate/differences.tsv")}
    others = [system.name for system in SYSTEMS if system.name != "tuned"]
    assert verdicts == dict.fromkeys(others, "too few records")


def test_the_page_shows_the_report_and_repeats_byte_by_byte(project: Path) -> None:
    main(NO_PARAMS)
    page = Path("data/tables/evaluate/report.html").read_bytes()
    main(NO_PARAMS)
    assert Path("data/tables/evaluate/report.html").read_bytes() == page
    assert b"Brass Desk Lamp" in page and b"2 held-out records" in page


def commit(*paths: str) -> None:
    """Commits files of the project."""
    for words in (["init", "-q"], ["add", *paths], ["commit", "-qm", "results"]):
        identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        subprocess.run(["git", *identity, *words], check=True)


def test_scores_of_other_records_than_the_last_commits_are_told_apart(project: Path) -> None:
    assert "compare" not in main(NO_PARAMS).line  # nothing is committed
    commit("metrics/evaluate.json")
    assert "compare" not in main(NO_PARAMS).line
    for name in MODELS:
        write_jsonl(f"data/generations/{name}.jsonl", rows(["A lamp.", "A bag."], 16.0)[:1])
    for _ in range(2):  # until the new ones are committed
        assert main(NO_PARAMS).line.endswith(
            "1 records; these are other test records than the last commit's, so do not compare the scores of the two"
        )
    commit("metrics/evaluate.json")
    assert "compare" not in main(NO_PARAMS).line


def test_a_last_commit_that_cannot_be_read_is_nothing_to_compare_with(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("metrics").mkdir()
    Path("metrics/evaluate.json").write_text("<<<<<<< HEAD")
    commit("metrics/evaluate.json")
    assert "compare" not in main(NO_PARAMS).line
    monkeypatch.setenv("PATH", "")  # no git
    assert "compare" not in main(NO_PARAMS).line


def test_the_first_answers_are_written_a_text_a_line(project: Path) -> None:
    answers = ['A 3" lamp,\tmade\nof brass.', '"Lamp"', *(["-"] * 9)]
    first = rows(answers[:2], 16.0)
    many = [*first, *(first[0] | {"uid": f"E{at}", "answer": "-"} for at in range(9))]
    for name in MODELS:
        write_jsonl(f"data/generations/{name}.jsonl", many)
    main(NO_PARAMS)
    examples = read_tsv("data/tables/evaluate/examples.tsv")
    assert [row["record"] for row in examples] == [str(record) for record in range(1, 11) for _ in range(5)]
    assert [row["source"] for row in examples[:5]] == ["title", "reference", *MODELS]
    texts = ["Brass Desk Lamp", "A desk lamp made of brass.", *['A 3" lamp, made of brass.'] * 3]
    assert [row["text"] for row in examples[:5]] == texts
    assert examples[9]["text"] == '"Lamp"'
    assert len(Path("data/tables/evaluate/examples.tsv").read_text().splitlines()) == 1 + len(examples)


def test_a_new_row_is_a_new_system(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows_added = (System("empty", "nothing", lambda titles, training: [""] * len(titles)), System("large", "large"))
    monkeypatch.setattr(evaluate, "SYSTEMS", (*SYSTEMS, *rows_added))
    write_jsonl("data/generations/large.jsonl", rows(["A lamp made of brass.", "A bag."], 24.0))
    main(NO_PARAMS)
    scores = written()
    assert list(scores)[2:9] == ["base", "few_shot", "tuned", "nearest", "title", "empty", "large"]
    assert (scores["empty"]["rougeL"], scores["empty"]["answer_loss"]) == (0.0, None)
    assert scores["large"]["answer_loss"] == 3.0
    assert scores["difference"]["tuned_minus_large"]["answer_loss"]["estimate"] == -1.0
    assert Path("data/tables/evaluate/scores.tsv").read_text().count("\tempty\t") == len(PLOTTED)
    assert {row["source"] for row in read_tsv("data/tables/evaluate/examples.tsv")} >= {"large"}


def test_the_title_repeated_is_a_system_without_a_likelihood(project: Path) -> None:
    main(NO_PARAMS)
    scores = written()
    assert scores["title"]["rougeL"] == pytest.approx(100 * (4 / 9 + 4 / 9) / 2, abs=1e-6)
    assert scores["title"]["answer_loss"] is None


def test_exports_and_endpoints_that_are_found_are_systems(project: Path) -> None:
    main(NO_PARAMS)
    metrics, examples = Path(evaluate.METRICS).read_bytes(), Path(f"{evaluate.TABLES}/examples.tsv").read_bytes()
    unlikely = [row | {"loss": None, "loss_tokens": None} for row in rows(["A lamp.", "A blue bag."], 0.0)]
    write_jsonl("data/generations/exports/f16.jsonl", unlikely)
    write_jsonl("data/generations/endpoints/other-model.jsonl", unlikely)
    main(NO_PARAMS)
    scores = written()
    assert list(scores["interval"]) == [*(system.name for system in SYSTEMS), "f16", "other-model"]
    assert scores["f16"]["answer_loss"] is None and scores["f16"]["stop_rate"] == 1.0
    assert scores["f16"] == scores["other-model"]
    assert "answer_loss" not in scores["difference"]["tuned_minus_f16"]
    # What reviewers decide by and read first is of the table alone.
    assert Path(evaluate.METRICS).read_bytes() == metrics
    assert Path(f"{evaluate.TABLES}/examples.tsv").read_bytes() == examples
    assert {row["system"] for row in read_tsv(f"{evaluate.TABLES}/facts.tsv")} == {
        "base",
        "tuned",
        "nearest",
        "reference",
    }
    write_jsonl("data/generations/endpoints/other-model.jsonl", unlikely[:1])
    with pytest.raises(UserError, match="Base answered 2 records and other-model 1"):
        main(NO_PARAMS)


def test_an_encoder_adds_bertscore_to_every_system(project: Path) -> None:
    write_encoder(project / "encoder")
    main(Params.model_construct(evaluate=EvaluateParams.model_construct(bertscore="encoder")))
    scores = written()
    assert all(0 < scores[one.name]["bertscore"] <= 1 for one in SYSTEMS)
    assert scores["base"]["bertscore"] < scores["tuned"]["bertscore"]  # one of its two answers is empty
    assert set(scores["interval"]["tuned"]["bertscore"]) == {"low", "high"}
    assert "bertscore_recall" in scores["difference"]["tuned_minus_base"]
    assert scores["signatures"]["bertscore"] == "model:encoder|layer:2|idf:no|rescale:no"


def test_without_an_encoder_there_is_no_bertscore(project: Path) -> None:
    main(NO_PARAMS)
    assert written()["tuned"]["bertscore"] is None
    assert "bertscore" not in written()["signatures"]


def test_generations_of_other_records_are_refused_and_the_last_result_stays(project: Path) -> None:
    main(NO_PARAMS)
    before = Path("data/reports/evaluate.json").read_bytes()
    write_jsonl("data/generations/tuned.jsonl", reversed(rows(["", ""], 16.0)))
    with pytest.raises(UserError, match="Line 1 of the generations: uid is 'E1' for base and 'E2' for tuned"):
        main(NO_PARAMS)
    assert Path("data/reports/evaluate.json").read_bytes() == before


def test_another_process_writes_the_same_bytes_and_leaves_nothing_else(project: Path) -> None:
    main(NO_PARAMS)
    results = [
        Path("data/reports/evaluate.json"),
        Path("metrics/evaluate.json"),
        *Path("data/tables/evaluate").iterdir(),
    ]
    before = [path.read_bytes() for path in results]
    home, temporary = project / "home", project / "temporary"
    home.mkdir()
    temporary.mkdir()
    process = subprocess.run(
        [sys.executable, "-c", CALL],
        env={"PYTHONPATH": ROOT, "PYTHONHASHSEED": "5", "HOME": str(home), "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [path.read_bytes() for path in results] == before
    assert (process.stdout, process.stderr) == ("", "")
    assert list(home.rglob("*")) == []
    assert [path for path in temporary.rglob("*") if path.is_file()] == []  # torch makes an empty folder there
