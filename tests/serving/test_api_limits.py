"""The API at its limits: the key, a full line, clients that go away, and its end, each in the command as it is run."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from openai import APIError, AuthenticationError, RateLimitError

from tests.serving.api_server import KEY_VARIABLE, ROOT, Server, serve_api, start_command
from tests.serving.conftest import TITLES

KEY, WRONG = "right-key-0123456789", "wrong-key-0123456789"
POST = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
POST += f"Authorization: Bearer {KEY}\r\n"
MARKER = "Zanzibarious"
LONG: dict[str, Any] = {"temperature": 10.0, "max_tokens": 1_024, "seed": 14}  # so hot, no stop token is drawn by then


@pytest.fixture(scope="module")
def server(export_folder: Path, index_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The API with a key, for any machine, with one slot and one place to wait."""
    log, words = tmp_path_factory.mktemp("api") / "log", ["--slots", "1", "--waiting", "1", "--host", "0.0.0.0"]
    with serve_api(index_path.parents[1], log, *words, "--log-prompts", key=KEY) as served:
        yield served


def ask(server: Server, key: str = KEY, timeout: float = 120, **options: Any) -> Any:
    client = server.client(key, timeout=timeout)
    messages: Any = [{"role": "user", "content": TITLES[0]}]
    return client.chat.completions.create(model="shelftalk", messages=messages, **options)


def begun(server: Server, key: str = KEY) -> Any:
    """A long stream that holds the slot."""
    stream = ask(server, key, stream=True, **LONG)
    next(iter(stream))
    return stream


@contextmanager
def asked(server: Server, **options: Any) -> Iterator[None]:
    """A client that has asked, does not read its answer, and goes away when the block ends."""
    body = {"model": "shelftalk", "messages": [{"role": "user", "content": TITLES[0]}]} | options
    words = json.dumps(body).encode()
    head = f"{POST}Content-Length: {len(words)}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", port(server))) as client:
        client.sendall(head + words)
        yield


def port(server: Server) -> int:
    return int(server.address.split(":")[2].split("/")[0])


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_key_is_asked_for(server: Server) -> None:
    assert ask(server).choices[0].message.content
    for key in (WRONG, KEY[:-1], f"{KEY}x", "é"):
        done = server.curl("/models", "-w", "\n%{http_code}", "-H", f"Authorization: Bearer {key}")
        body, _, status = done.stdout.rpartition("\n")
        assert status == "401"
        assert json.loads(body)["error"]["code"] == "invalid_api_key"
    with pytest.raises(AuthenticationError, match="The key is missing or wrong: send the server's own as"):
        ask(server, WRONG)
    assert "invalid_api_key" in server.curl("/models").stdout
    assert (
        server.curl("/models", "-H", f"Authorization: bearer {KEY}", "-H", "Host: shop.example").stdout[:9]
        == '{"object"'
    )


def test_health_needs_no_key(server: Server) -> None:
    until(lambda: server.health() == {"status": "ok", "answering": 0, "waiting": 0})


def test_a_full_line_says_when_to_come_back(server: Server) -> None:
    stream = begun(server)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, server, max_tokens=3)
        until(lambda: server.health()["waiting"] == 1)
        with pytest.raises(RateLimitError, match="All 1 slots are taken and 1 requests wait already") as refused:
            ask(server)
        assert refused.value.response.headers["retry-after"] == "5"
        stream.close()
        assert waiting.result().usage.completion_tokens == 3


@pytest.mark.parametrize("streams", [False, True])
def test_a_client_that_goes_away_frees_its_slot(server: Server, streams: bool) -> None:
    before = server.logged().count("left before its end")
    if streams:
        begun(server).close()
    else:
        with asked(server, **LONG):
            until(lambda: server.health()["answering"] == 1)
    until(lambda: server.logged().count("left before its end") > before)
    assert ask(server, max_tokens=2).usage.completion_tokens == 2


def test_a_client_that_goes_away_while_it_waits_is_never_answered(server: Server) -> None:
    stream, answers = begun(server), server.logged().count(" tokens, ")
    with asked(server):
        until(lambda: server.health()["waiting"] == 1)
    until(lambda: server.health()["waiting"] == 0)
    stream.close()
    until(lambda: server.health()["answering"] == 0)
    assert ": 499" in server.logged()
    assert server.logged().count(" tokens, ") == answers + 1


def test_a_body_that_does_not_come_is_not_waited_for(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", port(server))) as slow:
        slow.sendall(f"{POST}Content-Length: 100\r\n\r\n{{".encode())
        assert slow.recv(2_000).startswith(b"HTTP/1.1 408")


def test_the_log_holds_prompts_where_that_is_asked_for_and_never_a_key(server: Server) -> None:
    messages: Any = [{"role": "user", "content": f"{MARKER}\n{TITLES[0]}"}]
    answer = server.client(KEY).chat.completions.create(model="shelftalk", messages=messages, max_tokens=5)
    until(lambda: MARKER in server.logged())
    log = server.logged()
    assert (
        f"asked {json.dumps(messages[0]['content'])}, answered {json.dumps(answer.choices[0].message.content)}" in log
    )
    assert KEY not in log
    assert WRONG not in log
    assert KEY not in server.greeting


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_within_five_seconds_with_streams_open(
    index_path: Path, tmp_path: Path, by: signal.Signals
) -> None:
    with serve_api(index_path.parents[1], tmp_path / "log", "--slots", "2", key=KEY) as served:
        streams = [begun(served) for _ in range(2)]
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(ask, served, **LONG)
            until(lambda: served.health() == {"status": "ok", "answering": 2, "waiting": 1})
            start = time.monotonic()
            status, printed = served.stop(by)
            assert time.monotonic() - start < 5
            assert (status, printed) == (0, "api: stopped.\n")
            with pytest.raises(APIError, match="The server is stopping: ask again once it has been started"):
                waiting.result()
        for stream in streams:
            with pytest.raises(APIError, match="The server is stopping"):
                list(stream)
        assert "Traceback" not in served.logged()
        assert {line.split(" ", 2)[2].split(":")[0] for line in served.logged().splitlines()} <= {
            "shelftalk",
            "GET /health",
            "POST /v1/chat/completions",
        }


@pytest.mark.parametrize(
    ("words", "key", "sentence"),
    [
        (
            ["--host", "0.0.0.0"],
            None,
            f"api: --host 0.0.0.0 lets other machines ask, and {KEY_VARIABLE} is not set: exp",
        ),
        (["--host", "::"], "", f"api: --host :: lets other machines ask, and {KEY_VARIABLE} is not set: export a key"),
        ([], "sh0rt", f"api: {KEY_VARIABLE} holds a key that is shorter than 16 characters, or has others than"),
        ([], "a key with spaces in it", f"api: {KEY_VARIABLE} holds a key that is shorter than 16 characters, or has"),
        (["--host", "nowhere.invalid"], KEY, "api: --host nowhere.invalid --port 8000 cannot be listened on ("),
        (["--port", "70000"], KEY, "--port is 70000, and must be 0 to 65535"),
        (["--port", "0"], KEY, "api: data/index.sqlite is missing: run `dvc repro index`"),
        (["--slots", "0"], KEY, "api.py: error: --slots is 0, and must be 1 to 32"),
        (["--waiting", "-1"], KEY, "--waiting is -1, and must be 0 or more"),
    ],
)
def test_what_it_cannot_start_with_is_told_in_a_sentence(
    tmp_path: Path, words: list[str], key: str | None, sentence: str
) -> None:
    process = start_command(tmp_path, tmp_path / "log", *words, key=key)
    printed, _ = process.communicate(timeout=60)
    log = (tmp_path / "log").read_text()
    assert sentence.removeprefix("api.py: ") in log
    assert process.returncode in (1, 2)
    assert not printed
    assert "Traceback" not in log
    assert not key or key not in log


def test_a_taken_port_is_told_before_the_model_is_loaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        process = start_command(tmp_path, tmp_path / "log", "--port", port)
        process.communicate(timeout=60)
    assert (
        f"--port {port} cannot be listened on (Address already in use): choose another"
        in (tmp_path / "log").read_text()
    )


def test_help_is_instant() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "src.serving.api", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "SHELFTALK_API_KEY" in done.stdout
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not {"fastapi", "uvicorn", "xllamacpp", "numpy", "pydantic", "polars"} & loaded
