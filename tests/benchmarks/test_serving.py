"""The benchmark of serving, at toy size: the real stage and engines run, and changes, bounds and figures are right."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from rapidfuzz.distance import OSA

from benchmarks import serving_engines, serving_report, serving_search, serving_speed
from benchmarks.serving_rivals import Rivals
from benchmarks.serving_speed import Asked
from src.export.forms import FORMS
from src.inference.engine import Sampling, TokenCounts
from src.inference.llama_cpp import Piece
from src.serving.index import write_index
from src.serving.search import TitleIndex

ROOT = Path(__file__).parents[2]
TITLE = "Prou Pibret Gri Cel Rais Hen"
TWINS = [TITLE, "Prou Pibret Gri Cel Rais Dau", "Prou Gri Rais Cel", "Lamp", "Lump", "Hen Cel Gri Rais Dau Prou"]


@pytest.fixture(scope="module")
def index_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of TWINS."""
    path = tmp_path_factory.mktemp("index") / "index.sqlite"
    write_index(path, [pl.DataFrame({"uid": TWINS, "title": TWINS, "content": TWINS})])
    return path


def measured(folder: Path, *options: str) -> dict[str, Any]:
    """The results of the command, whose printed tables are checked."""
    places = ["--folder", str(folder), "--results", str(folder / "serving.json")]
    command = [sys.executable, "-m", "benchmarks.serving", *options, *places]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = json.loads((folder / "serving.json").read_text())
    part = options[options.index("--only") + 1]
    render = {"search": serving_report.render_search, "speed": serving_report.render_speed}[part]
    assert done.stdout.strip() == render(results[part])
    return results


def test_the_stage_and_every_kind_of_search_are_measured_and_the_other_half_stays(tmp_path: Path) -> None:
    (tmp_path / "serving.json").write_text('{"speed": "as it was"}')
    options = ["--only", "search", "--records", "400", "--searches", "20", "--engines"]
    results = measured(tmp_path, *options)
    search = results["search"]
    assert results["speed"] == "as it was"
    assert list(search["searches"]) == list(serving_search.CHANGES)
    assert search["searches"]["as it is"]["first"] == 100
    assert search["build"]["wall_s"] > 0
    installed = [name for name, engine in serving_engines.ENGINES.items() if engine.installed()]
    assert list(search["engines"]) == installed
    for engine in search["engines"].values():
        assert engine["peak_mb"] > 0
        assert engine["searches"]["two typos"]["first"] >= 80


def test_typos_and_dropped_words_are_as_many_as_they_say() -> None:
    rng = random.Random(1)
    typos = [OSA.distance(TITLE, serving_search.add_typos(rng, TITLE)) for _ in range(200)]
    assert max(typos) == serving_search.TYPOS
    assert {len(serving_search.drop_words(rng, TITLE).split()) for _ in range(20)} == {6 - serving_search.DROPPED}
    assert sorted(serving_search.shuffle_words(rng, TITLE).split()) == sorted(TITLE.upper().split())


@pytest.mark.parametrize(
    ("change", "title", "query", "chance"),
    [
        ("three words dropped", TITLE, "Prou Gri Rais", 50.0),  # the twin fits as well; a title of four words does not
        ("three words dropped", TITLE, "Gri Cel Hen", 100.0),
        ("two typos", "Lamp", "Lmp", 50.0),
        ("two typos", "Lamp", "Lump", 0.0),  # another title, letter by letter
        ("two typos", TITLE, "Prou Pibrt Gri Cel Rais Hne", 100.0),
    ],
)
def test_what_could_be_found_at_best_counts_the_titles_that_fit_as_well(
    index_path: Path, change: str, title: str, query: str, chance: float
) -> None:
    assert Rivals(TitleIndex(index_path)).best_share(change, [(title, query)]) == chance


def test_a_share_is_of_the_first_hit_alone_and_a_nearer_title_is_told(index_path: Path) -> None:
    searches = [serving_search.Search(title, TITLE) for title in TWINS[:2]]  # both are among the hits
    found = serving_search.measure_kind(TitleIndex(index_path), searches)
    assert (found["first"], found["nearer_to_another"]) == (50.0, 50.0)


def test_figures_of_users_follow_from_their_answers() -> None:
    users = [[Asked(0.5, 1.0, 10), Asked(0.5, 1.0, 10)], [Asked(1.0, 2.0, 10), Asked(1.0, 4.0, 10)]]
    found = serving_speed.summarise_together(users, seconds=6.0)
    assert (found["users"], found["answers"], found["answers_an_hour"]) == (2, 4, 2400)
    assert (found["median_s"], found["p95_s"], found["slowest_to_fastest_user"]) == (1.5, 3.7, 3.0)
    alone = serving_speed.summarise_alone(users[1])
    assert (alone["tokens_per_second"], alone["first_token_ms"]) == (3.3, 1000.0)


@pytest.mark.parametrize(("batch_size", "slowest"), [(1, 20.0), (20, 1.0)])
def test_a_queue_is_answered_in_the_order_of_asking(batch_size: int, slowest: float) -> None:
    task = serving_speed.Task(serving_speed.TRANSFORMERS, "", "", batch_size=batch_size, rounds=1)
    found = serving_speed.answer_queue(lambda batch: (1.0, len(batch)), [[]], task)
    assert found["slowest_to_fastest_user"] == slowest
    assert found["answers_an_hour"] == 3600 * batch_size


def test_a_user_waits_from_their_own_question_on() -> None:
    task = serving_speed.Task(serving_speed.TRANSFORMERS, "", "", batch_size=serving_speed.USERS, rounds=3)
    found = serving_speed.answer_queue(lambda batch: (1.0, len(batch)), [[]], task)
    assert (found["first_token_s"], found["median_s"], found["p95_s"]) == (1.0, 1.0, 1.0)


def test_the_first_token_is_timed_at_the_first_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    class Engine:
        def stream(self, *_: Any) -> Iterator[Piece]:
            yield from (Piece("A"), Piece(" lamp"), Piece("", "stop", TokenCounts(5, 9)))

    monkeypatch.setattr(serving_speed, "time", SimpleNamespace(perf_counter=iter((10.0, 11.0, 15.0)).__next__))
    asked = serving_speed.ask_llama_cpp(Engine(), Sampling(9), "Lamp")  # type: ignore[arg-type]
    assert asked == Asked(first=1.0, whole=5.0, tokens=9)


def test_a_form_is_told_as_times_transformers() -> None:
    def form(tokens: float, answers: int) -> dict[str, Any]:
        together = {"users": 20, "answers": 20, "answers_an_hour": answers, "median_s": 1, "p95_s": 2}
        alone = {"tokens_per_second": tokens, "first_token_ms": 3}
        return {"file_mb": 0, "peak_mb": 9, "alone": alone, "together": together | {"slowest_to_fastest_user": 1}}

    told = serving_report.render_shape({serving_report.REFERENCE: form(10.0, 100), "q8_0": form(25.0, 400)})
    assert told.endswith("| q8_0 | – | 9 MB | 25.0 | 2.5 | 3 ms | 400 | 4.0 | 1 s, 2 s | 1 |")


def test_every_form_is_measured_alone_and_together(tmp_path: Path) -> None:
    options = ["--only", "speed", "--shape", "small", "--rounds", "1", "--tokens", "2"]
    forms = measured(tmp_path, *options)["speed"]["small"]
    ggufs = {form.files[0] for form in FORMS if form.is_gguf}
    lora = {f"base-q8_0.gguf, LoRA at scale {scale}" for scale in (0, 1)}
    transformers = {serving_report.REFERENCE, "transformers, 20 at once"}
    assert set(forms) == ggufs | lora | transformers
    for form in forms.values():
        assert form["alone"]["tokens_per_second"] > 0
        assert form["together"]["answers"] == serving_speed.USERS
