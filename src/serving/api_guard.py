"""Who may ask the API, and with how much: host, key, kind and size of a request, before anything of it is read.

Covers also the log of requests, which holds no text of theirs. Does not read requests: api_schema.py does.
"""

import asyncio
import logging
import traceback
from collections.abc import Callable
from hmac import compare_digest
from time import monotonic
from typing import TYPE_CHECKING

from fastapi import Request
from fastapi.responses import JSONResponse

from src.serving import api_errors
from src.serving.hosts import is_asked_by

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOG = logging.getLogger("shelftalk.api")
LARGEST_BODY = 64 * 1024  # bytes
SLOWEST_BODY = 10.0  # seconds
PATHS = {"/health", "/v1/models", "/v1/chat/completions"}  # that a log names; another may hold anything


def host_check(names: frozenset[str] | None) -> Callable[[Request], None]:
    """A check of the Host header.

    Args:
        names: that the server may be asked by; None allows all, where a key protects it.
    """

    def check_host(request: Request) -> None:
        if not is_asked_by(request.headers.get("host", ""), names):
            raise api_errors.wrong_host()

    return check_host


def key_check(key: str | None) -> Callable[[Request], None]:
    """A check of the key, in a time that tells nothing about it.

    Args:
        key: the right one; None asks for none.
    """

    def check_key(request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if key is not None and not (scheme.lower() == "bearer" and compare_digest(given.encode(), key.encode())):
            raise api_errors.wrong_key()

    return check_key


async def read_body(request: Request) -> bytes:
    """The body of a request.

    Raises:
        RequestError: if it is no JSON by its header, too long or too slow.
    """
    # A page of another site can send a form unasked, but no JSON: the browser asks here first, and is not allowed.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise api_errors.wrong_type()
    if int(request.headers.get("content-length", 0)) > LARGEST_BODY:
        raise api_errors.long_body(LARGEST_BODY)
    body = bytearray()
    try:
        async with asyncio.timeout(SLOWEST_BODY):
            async for part in request.stream():
                body += part
                if len(body) > LARGEST_BODY:
                    raise api_errors.long_body(LARGEST_BODY)
    except TimeoutError:
        raise api_errors.slow_body(SLOWEST_BODY) from None
    return bytes(body)


class RequestLog:
    """A line for each request: method, path, status and seconds; and for an error its place, without what it says.

    Args:
        app: what answers.
    """

    def __init__(self, app: "ASGIApp") -> None:
        self.app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Passes a request on; arguments as of ASGI."""
        start, statuses = monotonic(), []

        async def noted(message: "Message") -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except Exception as error:
            log_error(error)
            if not statuses:
                failed = api_errors.explain(error)
                await JSONResponse(failed.body, failed.status)(scope, receive, noted)
        finally:
            path = scope["path"] if scope["path"] in PATHS else "another address"
            status = statuses[0] if statuses else "no response"
            LOG.info("%s %s: %s, %.2f s", method_of(scope), path, status, monotonic() - start)


def method_of(scope: "Scope") -> str:
    """The method of a request; a word that is none may hold anything."""
    method: str = scope["method"]
    return method if method in {"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"} else "another method"


def log_error(error: Exception) -> None:
    """Names the place of an error that should not be; its message may hold what a user wrote."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))
    LOG.error("%s at %s", type(error).__name__, places)
