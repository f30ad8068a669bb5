"""Errors that should not be: what a client is told of them, in a response and in a stream, and what the log keeps."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from src.errors import DamagedFileError
from src.inference.llama_cpp import Piece
from src.serving.api_app import stream_events
from src.serving.api_errors import explain
from src.serving.api_guard import RequestLog
from src.serving.api_schema import Reply
from src.serving.questions import Question

SECRET = "Zanzibarious"
TOLD = "The server failed at this request: its log names the place."


def test_a_response_and_the_log_hold_no_text_of_the_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "shelftalk.api")
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError(SECRET)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": f"/{SECRET}"}
    asyncio.run(RequestLog(app)(scope, receive, send))
    assert sent[0]["status"] == 500
    assert json.loads(sent[1]["body"])["error"] == {
        "message": TOLD,
        "type": "server_error",
        "param": None,
        "code": "internal_error",
    }
    assert f"ValueError at {__file__}" in caplog.text
    assert "GET another address: 500" in caplog.text
    assert SECRET not in caplog.text


def test_a_stream_that_breaks_off_ends_with_the_error_and_is_not_done() -> None:
    async def pieces() -> AsyncIterator[Piece]:
        yield Piece("A lamp")
        raise ValueError(SECRET)

    async def read() -> list[str]:
        events = stream_events(Reply("id", 0, "shelftalk"), Question("Lamp", [], [], []), pieces(), with_usage=True)
        return [event async for event in events]

    *_, text, last = asyncio.run(read())
    assert "A lamp" in text
    assert json.loads(last.removeprefix("data: "))["error"]["message"] == TOLD
    assert SECRET not in last


def test_a_damaged_index_is_no_fault_of_the_client() -> None:
    error = explain(DamagedFileError("data/index.sqlite", "malformed"))
    assert (error.status, str(error)) == (500, TOLD)
