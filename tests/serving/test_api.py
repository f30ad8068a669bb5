"""The API, asked by OpenAI's own client and by curl: answers, sources, streams, refusals, and what its log keeps."""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pytest
from openai import APIStatusError, BadRequestError, NotFoundError

from src.inference.endpoint import EndpointEngine
from src.inference.engine import Sampling
from src.params import EndpointParams
from src.serving.api_guard import LARGEST_BODY
from src.serving.api_schema import LONGEST_MESSAGE, MODELS
from src.serving.model import ServedModel
from src.serving.questions import prepare_question
from src.serving.search import TitleIndex
from tests.conftest import INSTRUCTION
from tests.serving.api_server import Server, serve_api
from tests.serving.conftest import TITLES, assert_not_mixed

TITLE = TITLES[0]
DRAWN = {"temperature": 0.9, "top_p": 0.95, "seed": 7, "max_tokens": 20}
MORE = {"top_k": 50, "repetition_penalty": 1.1}  # which OpenAI's interface lacks
MARKER = "Zanzibarious"


@pytest.fixture(scope="module")
def server(export_folder: Path, index_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The API over the embedded model, without a key."""
    with serve_api(index_path.parents[1], tmp_path_factory.mktemp("api") / "log") as served:
        yield served


def turns(text: str, *before: dict[str, str]) -> Any:
    return [*before, {"role": "user", "content": text}]


def ask(server: Server, text: str, model: str = "shelftalk", **options: Any) -> Any:
    return server.client().chat.completions.create(model=model, messages=turns(text), **options)


def expected(model: ServedModel, title_index: TitleIndex, text: str, name: str, sampling: Sampling) -> Any:
    """The text and the last piece of what the model answers without the API."""
    question = prepare_question(model.note, title_index, text)
    pieces = list(model.stream(question.turns, MODELS[name], sampling))
    return "".join(piece.text for piece in pieces), pieces[-1]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("drawn", [False, True])
def test_an_answer_is_the_models_with_its_sources_and_its_tokens(
    server: Server, served_model: ServedModel, title_index: TitleIndex, name: str, drawn: bool
) -> None:
    sampling = Sampling(20, 0.9, 50, 0.95, 1.1, 7) if drawn else served_model.note.sampling
    text, last = expected(served_model, title_index, TITLE, name, sampling)
    answer = ask(server, TITLE, name, **(DRAWN | {"extra_body": MORE} if drawn else {}))
    assert answer.choices[0].message.content == text
    assert answer.choices[0].finish_reason == last.finish_reason
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == last.counted
    assert (answer.model, answer.object) == (name, "chat.completion")
    sources = prepare_question(served_model.note, title_index, TITLE).sources
    assert answer.sources == [asdict(hit) for hit in sources]
    assert answer.sources[0]["title"] == answer.title == TITLE


def test_a_title_without_like_titles_has_no_source(server: Server) -> None:
    assert ask(server, "qqqq xxxx zzzz").sources == []


def test_a_stream_is_the_answer_in_pieces_and_ends_with_the_sources(server: Server) -> None:
    whole = ask(server, TITLE)
    chunks = list(ask(server, TITLE, stream=True, stream_options={"include_usage": True}))
    first, *middle, last, usage = chunks
    assert first.choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content for chunk in chunks[:-2]) == whole.choices[0].message.content
    assert len(middle) > 1
    assert {chunk.choices[0].finish_reason for chunk in [first, *middle]} == {None}
    assert last.choices[0].finish_reason == whole.choices[0].finish_reason
    assert last.sources == whole.sources
    assert (usage.choices, usage.usage) == ([], whole.usage)
    assert len({chunk.id for chunk in chunks}) == 1
    assert [chunk.usage for chunk in ask(server, TITLE, stream=True)][-1] is None


def test_the_clients_own_gathering_of_a_stream_works(server: Server) -> None:
    with server.client().chat.completions.stream(model="shelftalk", messages=turns(TITLE)) as stream:
        gathered = stream.get_final_completion()
    assert gathered.choices[0].message.content == ask(server, TITLE).choices[0].message.content


def test_curl_reads_the_stream_as_server_sent_events(server: Server) -> None:
    body = {"model": "shelftalk", "messages": turns(f"{TITLE} é\u2028"), "stream": True}
    said = server.curl("/chat/completions", "-N", "-i", "--json", json.dumps(body)).stdout
    head, _, events = said.replace("\r\n", "\n").partition("\n\n")
    assert head.startswith("HTTP/1.1 200 OK")
    assert "content-type: text/event-stream" in head
    assert events.isascii() and events.endswith("data: [DONE]\n\n")
    *chunks, _ = [event.removeprefix("data: ") for event in events.removesuffix("\n\n").split("\n\n")]
    assert {json.loads(chunk)["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert "sources" in json.loads(chunks[-1])


def test_the_models_are_listed(server: Server) -> None:
    client = server.client()
    assert [model.id for model in client.models.list()] == ["shelftalk", "shelftalk-base"]
    assert client.models.retrieve("shelftalk-base").id == "shelftalk-base"
    with pytest.raises(NotFoundError, match="There is no model 'gpt-4': choose shelftalk or shelftalk-base"):
        client.models.retrieve("gpt-4")


def test_the_model_reads_the_trained_instruction_and_the_last_message(server: Server) -> None:
    alone = ask(server, TITLE).choices[0].message.content
    parts = [{"type": "text", "text": TITLE}]
    conversations: list[Any] = [
        turns(TITLE, {"role": "system", "content": "You are a pirate."}),
        turns(TITLE, {"role": "system", "content": INSTRUCTION}),
        turns(TITLE, {"role": "user", "content": TITLES[1]}, {"role": "assistant", "content": "Nice."}),
        turns(TITLE, {"role": "user", "content": TITLES[1]}, {"role": "assistant"}),
        [{"role": "user", "content": parts}],
    ]
    for messages in conversations:
        answer = server.client().chat.completions.create(model="shelftalk", messages=messages)
        assert answer.choices[0].message.content == alone


def test_a_question_is_answered_from_the_title_that_it_names(
    server: Server, served_model: ServedModel, title_index: TitleIndex
) -> None:
    text = f"What is the {TITLE} made of?"
    question = prepare_question(served_model.note, title_index, text)
    answer = ask(server, text)
    assert answer.title == question.title == TITLE
    assert answer.passages == [passage._asdict() for passage in question.passages]


def test_the_evaluation_gets_the_models_answers(
    server: Server, served_model: ServedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where they are kept
    prompts = [served_model.note.turns(title) for title in ["Where is it? A Book", *TITLES[:3]]]
    for name, side in MODELS.items():
        endpoint = EndpointParams(name=name, address=server.address, model=name, key_variable="")
        answers = EndpointEngine(endpoint, {}).answer(prompts, Sampling(12))
        for prompt, answer in zip(prompts, answers, strict=True):
            pieces = list(served_model.stream(prompt, side, Sampling(12)))
            assert answer.text == "".join(piece.text for piece in pieces)
            assert (answer.finish_reason, answer.counted) == pieces[-1][1:]


def test_twenty_at_once_get_the_answers_that_each_gets_alone(server: Server) -> None:
    asked = [(title, list(MODELS)[number % 2], number % 3 == 0) for number, title in enumerate(TITLES[:20])]

    def answer(one: tuple[str, str, bool]) -> tuple[str, str]:
        title, name, streams = one
        if not streams:
            whole = ask(server, title, name)
            return whole.choices[0].message.content, whole.title
        chunks = list(ask(server, title, name, stream=True))
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks), chunks[-1].title

    alone = [answer(one) for one in asked]
    with ThreadPoolExecutor(20) as pool:
        together = list(pool.map(answer, asked))
    assert_not_mixed([text for text, _ in together], [text for text, _ in alone])
    assert [title for _, title in together] == [title for _, title in alone] == TITLES[:20]
    assert len({text for text, _ in alone}) > 10


def field(name: str, value: object) -> dict[str, Any]:
    return {"model": "shelftalk", "messages": turns(TITLE), name: value}


def message(**fields: object) -> dict[str, Any]:
    return {"model": "shelftalk", "messages": [fields]}


IMAGE = {"type": "image_url", "image_url": {"url": "data:,"}}
FAULTS: list[tuple[dict[str, Any], str | None, str]] = [
    (field("temperature", float("nan")), "temperature", "temperature is nan, and must be a finite number: change it."),
    (field("temperature", float("inf")), "temperature", "temperature is inf, and must be a finite number: change it."),
    (field("temperature", -1), "temperature", "temperature is -1, and must be greater than or equal to 0: change it."),
    (field("temperature", "hot"), "temperature", "temperature is 'hot', and must be a valid number: change it."),
    (field("temperature", True), "temperature", "temperature is True, and must be a valid number: change it."),
    (field("top_p", 0), "top_p", "top_p is 0, and must be greater than 0: change it."),
    (field("max_tokens", 0), "max_tokens", "max_tokens is 0, and must be greater than or equal to 1: change it."),
    (field("max_tokens", 1.5), "max_tokens", "max_tokens is 1.5, and must be a valid integer: change it."),
    (field("seed", -1), "seed", "seed is -1, and must be greater than or equal to 0: change it."),
    (field("stream", "yes"), "stream", "stream is 'yes', and must be a valid boolean: change it."),
    (field("n", 2), "n", "n is 2, which this server does not offer: leave it out."),
    (field("tools", [{}]), "tools", "tools is [{}], which this server does not offer: leave it out."),
    (field("stop", ["."]), "stop", "stop is ['.'], which this server does not offer: leave it out."),
    (field("temprature", 1), "temprature", "temprature is not known: write temperature."),
    (field("stream_options", {}), "stream_options", "stream_options is set without stream: set stream to true"),
    (field("max_completion_tokens", 3) | {"max_tokens": 4}, "max_completion_tokens", "another name of max_tokens, and"),
    (field("model", "gpt-4"), "model", "There is no model 'gpt-4': choose shelftalk or shelftalk-base."),
    (field("messages", []), "messages", "messages is [], and must have at least 1 item"),
    (field("messages", "lamp"), "messages", "messages is 'lamp', and must be a valid list: change it."),
    ({"model": "shelftalk"}, "messages", "messages is missing: add it."),
    ({"messages": turns(TITLE)}, "model", "model is missing: add it."),
    (message(role="tool", content=""), "messages.0.role", "messages.0.role is 'tool', and must be 'system'"),
    (message(role="user"), "messages.0.content", "messages.0.content is None, and must be text: change it."),
    (message(role="user", content=3), "messages.0.content", "messages.0.content is 3, and must be text: change it."),
    (
        message(role="user", content=[IMAGE]),
        "messages.0.content",
        "messages.0.content.0 is 'image_url': the model reads",
    ),
    (message(role="user", content=" \n"), "messages.0.content", "The last message is empty: write a title"),
    (message(role="assistant", content="A lamp"), "messages.0.role", "The last message is not the user's: end with"),
    (message(role="user", content="x" * 8_001), "messages.0.content", "8,001 characters, and may have 8,000: shorten"),
]


@pytest.mark.parametrize(("body", "param", "sentence"), FAULTS, ids=[sentence[:45] for _, _, sentence in FAULTS])
def test_each_fault_is_a_sentence_in_openais_form(
    server: Server, body: dict[str, Any], param: str | None, sentence: str
) -> None:
    said = json.loads(server.curl("/chat/completions", "--json", json.dumps(body)).stdout)["error"]
    assert sentence in said["message"]
    assert (said["param"], said["type"]) == (param, "invalid_request_error")
    assert set(said) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{", "EOF while parsing"),
        ("[" * 50_000, "recursion limit exceeded"),
        ('"lamp"', "it is 'lamp'"),
        ("", "EOF while parsing"),
        (r'{"model": "\ud800"}', "unexpected end of hex escape"),
        (b"\xff\xfe{}", "expected"),
    ],
    ids=["cut off", "nested deep", "a text", "empty", "half a character", "other encoding"],
)
def test_a_body_that_is_no_json_object_is_refused(
    server: Server, body: str | bytes, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "body").write_bytes(body if isinstance(body, bytes) else body.encode())
    said = json.loads(server.curl("/chat/completions", "--json", f"@{tmp_path / 'body'}").stdout)["error"]
    assert said["message"].startswith("The body is not a JSON object (")
    assert reason in said["message"]


def test_the_client_raises_what_the_status_says(server: Server) -> None:
    with pytest.raises(BadRequestError, match=r"temperature is 11\.0, and must be less than or equal to 10"):
        ask(server, TITLE, temperature=11.0)
    with pytest.raises(NotFoundError, match="There is no model 'other'"):
        ask(server, TITLE, "other")
    with pytest.raises(APIStatusError, match="The last message has 8,001 characters") as refused:
        ask(server, "x" * (LONGEST_MESSAGE + 1), stream=True)  # before the stream begins
    assert refused.value.status_code == 400


def test_a_prompt_that_leaves_no_room_is_refused_and_a_larger_bound_is_none(server: Server) -> None:
    with pytest.raises(BadRequestError, match=r"TITLE is too long: its prompt has [\d,]+ tokens"):
        ask(server, "é ü " * (LONGEST_MESSAGE // 4), max_tokens=1_000)
    assert ask(server, TITLE, max_tokens=100_000).choices[0].finish_reason in ("stop", "length")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_is_refused_before_it_is_read(server: Server, chunked: bool, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b" " * 100 * LARGEST_BODY)
    words = ["-H", "Transfer-Encoding: chunked"] if chunked else []
    done = server.curl("/chat/completions", "-w", "\n%{http_code}", *words, "--json", f"@{tmp_path / 'body'}")
    body, _, status = done.stdout.rpartition("\n")
    assert status == "413"
    assert json.loads(body)["error"]["message"] == "The body has more than 65,536 bytes: shorten the messages."


@pytest.mark.parametrize(
    ("path", "words", "status", "sentence"),
    [
        ("/nowhere", [], 404, "There is nothing at this address: ask for POST /v1/chat/completions"),
        ("/../docs", ["--path-as-is"], 404, "There is nothing at this address"),
        ("/models/", [], 404, "There is nothing at this address"),
        ("/chat/completions", [], 405, "This address is asked for in another way: POST /v1/chat/completions"),
        ("/chat/completions", ["-d", "{}"], 415, "The body has to be JSON: send the header `Content-Type: appl"),
        ("/models", ["-H", "Host: shop.example:8000"], 403, "The Host header names another machine: ask for 127.0.0.1"),
        ("/models", ["-H", "Host;"], 403, "The Host header names another machine"),
        ("/models", ["-H", "Host: [::1"], 403, "The Host header names another machine"),
    ],
)
def test_what_is_not_for_this_server_is_refused(
    server: Server, path: str, words: list[str], status: int, sentence: str
) -> None:
    done = server.curl(path, "-w", "\n%{http_code}", *words)
    body, _, code = done.stdout.rpartition("\n")
    assert int(code) == status
    assert json.loads(body)["error"]["message"].startswith(sentence)


def test_other_origins_get_no_leave(server: Server) -> None:
    asked = ["-X", "OPTIONS", "-H", "Origin: https://shop.example", "-H", "Access-Control-Request-Method: POST"]
    for words in (asked, ["-H", "Origin: https://shop.example"]):
        assert "access-control" not in server.curl("/models", "-i", *words).stdout.lower()


def test_nothing_listens_beyond_this_machine(server: Server) -> None:
    connections = psutil.Process(server.process.pid).net_connections("inet")
    listening = {connection.laddr.ip for connection in connections if connection.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}
    assert server.greeting == f"api: answers at {server.address}, without a key; stop it by Ctrl-C.\n"


def test_the_log_holds_nothing_that_a_user_wrote(server: Server) -> None:
    ask(server, f"{MARKER} {TITLE}")
    list(ask(server, f"{TITLE} {MARKER}", stream=True))
    server.curl(f"/models?q={MARKER}")
    server.curl(f"/{MARKER}")
    server.curl("/models", "-X", MARKER.upper())
    for body in (field(MARKER, 1), field("model", MARKER), message(role=MARKER), field("stop", MARKER)):
        server.curl("/chat/completions", "--json", json.dumps(body))
    server.curl("/chat/completions", "--json", json.dumps(message(role="user", content=MARKER))[:-3])
    with socket.create_connection(("127.0.0.1", int(server.address.split(":")[2].split("/")[0]))) as odd:
        odd.sendall(f"{MARKER}\r\n\r\n".encode())
        odd.recv(1000)
    deadline = time.monotonic() + 10
    while "another method another address" not in server.logged() and time.monotonic() < deadline:
        time.sleep(0.05)
    log = server.logged()
    assert MARKER.lower() not in log.lower()
    assert TITLE not in log
    assert "POST /v1/chat/completions: 200, " in log
    assert "GET another address: 404, " in log
    assert "Traceback" not in log
