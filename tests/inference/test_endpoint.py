"""Endpoints, asked by the real client: order, retries, answers kept, failures in a sentence without the key."""

import json
import logging
import traceback
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from src.errors import UserError
from src.export.gguf import convert_to_gguf
from src.inference import endpoint as module
from src.inference.endpoint import AT_ONCE, EndpointEngine, sampling_options
from src.inference.engine import Answer, Sampling, TokenCounts
from src.inference.llama_cpp import LlamaCppEngine
from src.params import EndpointParams
from src.prompts.rendering import Prompt, prompt_turns
from tests.inference.fake_endpoint import KEY, FakeEndpoint, Reply, completion, failure, serve_endpoint

GREEDY = Sampling(20)
NOWHERE = "http://127.0.0.1:9/v1"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEndpoint]:
    """A server, and an empty folder as the current one."""
    monkeypatch.chdir(tmp_path)
    with serve_endpoint() as served:
        yield served


def connect(address: str, variable: str = "SOME_KEY", key: str = KEY) -> EndpointEngine:
    return EndpointEngine(
        EndpointParams(name="other", address=address, model="m", key_variable=variable), {"SOME_KEY": key}
    )


def test_prompts_are_answered_in_their_order_a_few_at_once(server: FakeEndpoint) -> None:
    together = Barrier(AT_ONCE, timeout=20)  # each request waits until as many are open

    def reply(body: dict[str, Any], number: int) -> Reply:
        together.wait()
        return completion(f" {body['messages'][-1]['content']} \n", "length" if number == 0 else "stop")

    server.replies = reply
    titles = [f"title {number}" for number in range(3 * AT_ONCE)]
    answers = connect(server.address).answer(list(titles), GREEDY)
    assert [answer.text for answer in answers] == titles
    assert sorted(answer.finish_reason for answer in answers) == ["length"] + ["stop"] * (len(titles) - 1)
    assert {answer.counted for answer in answers} == {TokenCounts(7, 3)}
    assert server.largest == AT_ONCE
    assert set(server.keys) == {f"Bearer {KEY}"}


def test_turns_are_sent_as_they_are_and_text_as_a_users_turn(server: FakeEndpoint) -> None:
    turns = prompt_turns("Describe it.", "{title}", "Brass Lamp")
    prompts: list[Prompt] = [turns, "Title: Brass Lamp\nDescription:"]
    connect(server.address).answer(prompts, GREEDY)
    sent = sorted((body["messages"] for body in server.requests), key=len)
    assert sent == [[{"role": "user", "content": prompts[1]}], turns]
    assert {key: value for key, value in server.requests[0].items() if key != "messages"} == {
        "model": "m",
        "max_tokens": 20,
        "temperature": 0.0,
    }


def test_sampling_is_sent_where_it_is_on() -> None:
    drawn = Sampling(5, temperature=0.7, top_k=40, top_p=0.9, repetition_penalty=1.1, seed=3)
    assert sampling_options(drawn) == {
        "max_tokens": 5,
        "temperature": 0.7,
        "top_p": 0.9,
        "seed": 3,
        "extra_body": {"top_k": 40, "repetition_penalty": 1.1, "repeat_penalty": 1.1},
    }


@pytest.mark.parametrize("passing", [failure(429), failure(500), failure(503), None], ids=["429", "500", "503", "drop"])
def test_what_fails_for_a_while_is_asked_for_again(server: FakeEndpoint, passing: Any) -> None:
    server.replies = lambda body, number: passing if number == 0 else completion("Oak.")
    [answer] = connect(server.address).answer(["Lamp"], GREEDY)
    assert answer == Answer("Oak.", [], "stop", TokenCounts(7, 3))
    assert server.asked == ["Lamp", "Lamp"]


def test_an_interrupted_run_asks_for_what_is_missing_alone(server: FakeEndpoint) -> None:
    titles = [f"title {number}" for number in range(10)]
    server.replies = lambda body, number: failure(400) if number == 6 else completion(body["messages"][-1]["content"])
    with pytest.raises(UserError):
        connect(server.address).answer(list(titles), GREEDY)
    done = len(server.requests) - 1
    assert 6 <= done < 10
    server.replies = lambda body, number: completion(body["messages"][-1]["content"])
    again = connect(server.address).answer(list(titles), GREEDY)
    assert [answer.text for answer in again] == titles
    assert len(server.requests) == 11  # ten answers and the refusal
    assert connect(server.address).answer(list(titles), GREEDY) == again
    assert len(server.requests) == 11


def test_another_question_model_or_sampling_is_asked(server: FakeEndpoint) -> None:
    for sampling in (GREEDY, Sampling(21), Sampling(20, temperature=0.5), Sampling(20, temperature=0.5, seed=1)):
        connect(server.address).answer(["Lamp"], sampling)
    connect(server.address).answer(["Owl"], GREEDY)
    assert len(server.requests) == 5


def test_a_kept_answer_that_was_cut_off_is_asked_for_again(server: FakeEndpoint) -> None:
    engine = connect(server.address)
    first, second = engine.answer(["Lamp"], GREEDY) + engine.answer(["Owl"], GREEDY)
    kept = Path(".answers/other.jsonl")
    kept.write_bytes(kept.read_bytes()[:-9])
    assert connect(server.address).answer(["Lamp", "Owl"], GREEDY) == [first, second]
    assert server.asked == ["Lamp", "Owl", "Owl"]
    assert len(kept.read_text().splitlines()) == 2


def test_a_server_without_keys_needs_none(server: FakeEndpoint) -> None:
    connect(server.address, variable="").answer(["Lamp"], GREEDY)
    assert KEY not in server.keys[0]


FAILURES: dict[str, tuple[Reply, str]] = {
    "a wrong key": (failure(401, f"Incorrect API key provided: {KEY}"), r"refuses the key in SOME_KEY \(HTTP 401\)"),
    "a forbidden key": (failure(403, KEY), r"refuses the key in SOME_KEY \(HTTP 403\): export the right one\.$"),
    "a missing model": (
        failure(404, f"no such model, {KEY}"),
        r"has no model 'm' at that address \(.*no such model, …",
    ),
    "a bad request": (failure(400, f"max_tokens\nis too large {KEY}"), r"gives no answer \(.*too large ….*\): change"),
    "lasting failures": (
        failure(500, KEY),
        r"gives no answer \(.*\): change what it names; the answers so far are kept",
    ),
    "no budget": (failure(429, f"quota of {KEY}"), r"gives no answer \(.*quota of ….*\): change"),
    "dropped connections": (None, r"cannot be reached: start the server, or correct the address"),
    "a refusal": (
        completion(None, refusal=f"I must not, {KEY}."),
        r"without a text \(I must not, …\.\): choose another",
    ),
    "a filtered answer": (completion("A", "content_filter"), r"without a text \(finish reason content_filter\)"),
    "a tool call": (completion(None, "tool_calls"), r"without a text \(finish reason tool_calls\)"),
    "a page": ((200, f"<title>{KEY}</title>"), r"without a text \(finish reason not told\)"),
    "no JSON": ((200, [1]), r"without a text \(finish reason not told\)|gives no answer"),
    "no choices": ((200, {"choices": []}), r"without a text \(finish reason not told\)"),
    "no message": ((200, {"choices": [{}]}), r"without a text \(finish reason not told\)"),
    "content in parts": (completion([{"type": "text"}]), r"without a text \(finish reason stop\)"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_is_a_sentence_without_the_key(
    server: FakeEndpoint, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(module, "RETRIES", 1)
    reply, sentence = FAILURES[name]
    server.replies = lambda body, number: reply
    with pytest.raises(UserError, match=rf"^other \(evaluate\.endpoints, {server.address}\) .*{sentence}") as refused:
        connect(server.address).answer(["Lamp"], GREEDY)
    assert "\n" not in str(refused.value)
    assert KEY not in "".join(traceback.format_exception(refused.value)) + caplog.text
    assert not any(KEY in path.read_text() for path in Path().rglob("*") if path.is_file())


def test_the_key_is_not_kept_with_the_answers(server: FakeEndpoint, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    connect(server.address).answer(["Lamp"], GREEDY)
    [row] = map(json.loads, Path(".answers/other.jsonl").read_text().splitlines())
    assert list(row) == ["question", "text", "token_ids", "finish_reason", "counted"]
    assert KEY not in Path(".answers/other.jsonl").read_text() + caplog.text


def test_a_dead_address_is_a_sentence(server: FakeEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRIES", 0)
    with pytest.raises(
        UserError, match=r"other \(evaluate.endpoints, http://127.0.0.1:9/v1\) cannot be reached: start"
    ):
        connect(NOWHERE).answer(["Lamp"], GREEDY)


def test_a_slow_endpoint_is_a_sentence(server: FakeEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRIES", 0)
    monkeypatch.setattr(module, "TIMEOUT", 0.2)
    waits = Barrier(2)

    def reply(body: dict[str, Any], number: int) -> Reply:
        waits.wait(60)
        return completion("Late.")

    server.replies = reply
    with pytest.raises(UserError, match="does not answer in time: try again later"):
        connect(server.address).answer(["Lamp"], GREEDY)
    waits.wait(60)


@pytest.mark.parametrize("key", ["", " \n"])
def test_a_missing_key_is_told_before_anything_is_asked(server: FakeEndpoint, key: str) -> None:
    with pytest.raises(UserError, match=r"key of other .* environment variable SOME_KEY, which is not set: export it"):
        connect(server.address, key=key)


@pytest.mark.parametrize("key", [f"{KEY}\nX-Other: 1", f"{KEY}é", f"{KEY}\0"])
def test_a_key_that_no_header_can_hold_is_a_sentence_without_it(server: FakeEndpoint, key: str) -> None:
    with pytest.raises(UserError, match=r"key of other, .* SOME_KEY, holds characters that no key has") as refused:
        connect(server.address, key=key)
    assert KEY not in str(refused.value)


def test_a_real_server_answers_as_the_model_does_in_process(
    base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    convert_to_gguf(base_folder, tmp_path / "tiny.gguf", "f16", "tiny")
    llama_cpp = LlamaCppEngine(tmp_path / "tiny.gguf")
    engine = connect(f"{llama_cpp.server.address}/v1", key=llama_cpp.server.key)
    turns = [prompt_turns("Describe it.", "{title}", title) for title in ("Brass Lamp", "Red Bag")]
    sampling = Sampling(5, repetition_penalty=1.3)  # which llama.cpp knows by a name of its own
    ours, theirs = llama_cpp.answer(turns, sampling), engine.answer(turns, sampling)
    assert [(answer.text, answer.finish_reason) for answer in theirs] == [(one.text, one.finish_reason) for one in ours]
    assert [one.counted and one.counted.answer for one in theirs] == [len(one.token_ids) for one in ours]
    assert [one.counted and one.counted.prompt for one in theirs] == [
        len(llama_cpp.token_ids(llama_cpp.render_prompt(turn))) for turn in turns
    ]
