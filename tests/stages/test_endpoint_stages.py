"""generate_endpoints and judge, against a server: rows that evaluate reads, judgements in both orders, resumption."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.errors import UserError
from src.files import read_json, write_jsonl
from src.params import EndpointParams, EvaluateParams, GenerateParams, Params
from src.prompts.rendering import prompt_and_completion, prompt_turns
from src.scoring.generations import read_generations
from src.scoring.judgements import agreed, read_judgements
from src.scoring.preferences import judge_report
from src.stages import generate_endpoints, judge
from tests.inference.fake_endpoint import KEY, FakeEndpoint, completion, failure, serve_endpoint
from tests.scoring.rows import generation

TITLES = ["Brass Lamp", "Red Bag", "Garden Hose"]
GENERATE = GenerateParams(
    records=2, max_new_tokens=9, temperature=0, top_k=0, top_p=1, repetition_penalty=1, seed=0, batch_size=1, few_shot=1
)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEndpoint]:
    """A server, and a project with formatted records and answers of base and tuned."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOME_KEY", KEY)
    prompts = [
        prompt_and_completion("chat", prompt_turns("Describe it.", "{title}", title), f"{title}!") for title in TITLES
    ]
    write_jsonl(
        "data/prompts/test.jsonl",
        ({"uid": title, "title": title, **prompt} for title, prompt in zip(TITLES, prompts, strict=True)),
    )
    for name in ("base", "tuned"):
        rows = (
            generation(uid=title, title=title, answer=f"{name} on {title}", reference=f"{title}!") for title in TITLES
        )
        write_jsonl(f"data/generations/{name}.jsonl", (row.model_dump() for row in rows))
    Path("data/split").mkdir()
    train = {"uid": ["T"], "title": ["Brass"], "content": ["copied"], "stratum": ["0"]}
    pl.DataFrame(train).write_parquet("data/split/train.parquet")
    with serve_endpoint() as served:
        yield served


def parameters(server: FakeEndpoint, *names: str, judge: str = "", records: int = 0) -> Params:
    endpoints = [
        EndpointParams(name=name, address=server.address, model=f"model of {name}", key_variable="SOME_KEY")
        for name in names
    ]
    evaluate = EvaluateParams.model_construct(endpoints=endpoints, judge=judge, judge_records=records)
    return Params.model_construct(generate=GENERATE, evaluate=evaluate)


def test_without_an_endpoint_the_folder_holds_no_system(server: FakeEndpoint) -> None:
    outcome = generate_endpoints.main(parameters(server))
    assert outcome.line == "evaluate.endpoints names none"
    assert [path.name for path in generate_endpoints.FOLDER.iterdir()] == ["asked.json"]


def test_endpoints_answer_the_same_records_as_the_models(server: FakeEndpoint) -> None:
    outcome = generate_endpoints.main(parameters(server, "one", "two"))
    assert outcome.line == "2 answers each of one, two"
    for name in ("one", "two"):
        rows = read_generations(generate_endpoints.FOLDER / f"{name}.jsonl")
        assert [row.uid for row in rows] == TITLES[:2]
        assert [row.answer for row in rows] == ["About Brass Lamp.", "About Red Bag."]
        assert [row.reference for row in rows] == ["Brass Lamp!", "Red Bag!"]
        assert json.loads(rows[0].prompt) == prompt_turns("Describe it.", "{title}", "Brass Lamp")
        assert (rows[0].prompt_tokens, rows[0].tokens, rows[0].loss, rows[0].loss_tokens) == (7, 3, None, None)
    asked = read_json(generate_endpoints.FOLDER / "asked.json")
    assert asked[1] == {"name": "two", "address": server.address, "model": "model of two"}


def test_an_endpoint_that_is_left_out_later_is_no_system_any_more(server: FakeEndpoint) -> None:
    generate_endpoints.main(parameters(server, "one", "two"))
    generate_endpoints.main(parameters(server, "two"))
    assert sorted(path.name for path in generate_endpoints.FOLDER.iterdir()) == ["asked.json", "two.jsonl"]
    assert len(server.requests) == 4


def test_an_interrupted_stage_goes_on_and_the_last_result_stays(server: FakeEndpoint) -> None:
    generate_endpoints.main(parameters(server, "one"))
    server.replies = lambda body, number: failure(400) if number == 5 else completion("Oak.")
    with pytest.raises(UserError):
        generate_endpoints.main(parameters(server, "one", "two", "three"))
    assert (generate_endpoints.FOLDER / "one.jsonl").is_file()
    assert not (generate_endpoints.FOLDER / "two.jsonl").exists()
    generate_endpoints.main(parameters(server, "one", "two", "three"))
    assert len(server.requests) == 7  # six answers and one refusal


def test_a_missing_key_stops_before_anything_is_asked(server: FakeEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_KEY")
    for stage in (generate_endpoints, judge):
        with pytest.raises(UserError, match="SOME_KEY, which is not set"):
            stage.main(parameters(server, "one", judge="one"))
    assert server.requests == []


def shown(body: dict[str, Any]) -> tuple[str, str]:
    """The answers that a judge is shown, as A and B."""
    found = re.search(r"Description A:\n(.*)\n\nDescription B:\n(.*)\n\nAnswer", body["messages"][0]["content"])
    assert found
    return found[1], found[2]


def prefer_tuned(body: dict[str, Any], number: int) -> Any:
    """Prefers the tuned model to all but a copy, of which it takes the first."""
    first, second = shown(body)
    if "copied" in (first, second):
        return completion("A")
    return completion("A." if first.startswith("tuned") else "b")


def test_without_a_judge_nothing_is_asked(server: FakeEndpoint) -> None:
    assert judge.main(parameters(server, "one")).line == "evaluate.judge names none"
    assert read_judgements(judge.JUDGEMENTS) == []
    assert server.requests == []


def test_a_judge_sees_each_pair_in_both_orders_and_never_itself(server: FakeEndpoint) -> None:
    given = parameters(server, "one", "two", judge="two", records=2)
    generate_endpoints.main(given)
    server.requests.clear()
    server.replies = prefer_tuned
    assert judge.main(given).line == "6 pairs of answers judged by two in both orders"
    assert {body["model"] for body in server.requests} == {"model of two"}
    pairs = {shown(body) for body in server.requests}
    assert len(pairs) == 12
    assert {(second, first) for first, second in pairs} == pairs
    found = read_judgements(judge.JUDGEMENTS)
    assert [(row.uid, row.first, row.second, agreed(row)) for row in found] == [
        *((title, "tuned", "base", "first") for title in TITLES[:2]),
        *((title, "tuned", "one", "first") for title in TITLES[:2]),
        *((title, "tuned", "nearest", "tie") for title in TITLES[:2]),
    ]
    report = judge_report(found)
    assert report["tuned_against_base"]["preferred"]["estimate"] == 100.0
    assert report["tuned_against_nearest"]["contradicted"] == 100.0


def test_an_interrupted_judge_goes_on_and_gives_the_same_bytes(server: FakeEndpoint) -> None:
    given = parameters(server, "two", judge="two")
    server.replies = prefer_tuned
    judge.main(given)
    whole, asked = Path(judge.JUDGEMENTS).read_bytes(), len(server.requests)
    kept = Path(".answers/two.jsonl")
    kept.write_bytes(b"".join(kept.read_bytes().splitlines(keepends=True)[:5]))
    judge.main(given)
    assert Path(judge.JUDGEMENTS).read_bytes() == whole
    assert len(server.requests) == asked + (asked - 5)


def test_words_that_are_no_verdict_are_counted(server: FakeEndpoint) -> None:
    server.replies = lambda body, number: completion("Both are lovely.")
    outcome = judge.main(parameters(server, "two", judge="two", records=1))
    assert outcome.line.endswith("; 2 without a verdict, since it said something else than A, B or tie")
    assert read_judgements(judge.JUDGEMENTS)[0].forward_words == "Both are lovely."
