"""Keeps out of the page's server what the page does not need: other paths, large bodies, other hosts' content.

Covers uploads, downloads of files, the programming interface and all else that Gradio offers by itself: whatever is
not in ALLOWED is refused before Gradio sees it.
"""

import re
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from src.serving.hosts import is_asked_by

# What a browser asks for while the page is used; there is no upload among it, and no file of the machine.
ALLOWED = re.compile(
    r"GET /(|config|theme\.css|favicon\.ico|manifest\.json|logout|(assets|static)/[\w.+/-]+)"
    r"|GET /gradio_api/(queue/data|heartbeat/\w+|startup-events|login_check|user|app_id)"
    r"|POST /(login|gradio_api/(queue/join|cancel|reset))"
)
LARGEST_BODY = 256 * 1024  # bytes; a title of 10,000 characters, told to be too long, has 120,000 at most
# No other host is asked for anything, whatever Gradio or a text would like; Gradio's own scripts stand in the page, and
# compile the templates of its HTML component.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; object-src 'none'; frame-ancestors 'none'; form-action 'self'; "
    "base-uri 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Guard:
    """ASGI middleware that lets through what the page needs.

    Args:
        app: what is behind it.
        names: that the page may be asked by; None allows all, where a password protects it.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str] | None) -> None:
        self.app, self.names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request.

        Args:
            scope: of the request.
            receive: its body.
            send: the response.
        """
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif refused := self.refusal(scope):
            await refused(scope, receive, send)
        else:
            await self.app(scope, receive, with_headers(send))

    def refusal(self, scope: Scope) -> PlainTextResponse | None:
        """The answer to a request that the page does not need; None to one that it does."""
        headers = Headers(scope=scope)
        if not is_asked_by(headers.get("host", ""), self.names):
            return PlainTextResponse("The page has another name: take the address that the terminal shows.\n", 403)
        if scope["type"] != "http" or not ALLOWED.fullmatch(f"{scope['method']} {scope['path']}"):
            return PlainTextResponse("The page has no such address.\n", 404)
        if (
            int(headers.get("content-length", 0)) > LARGEST_BODY or "transfer-encoding" in headers
        ):  # no browser sends it
            return PlainTextResponse(f"More than {LARGEST_BODY:,} bytes are not read.\n", 413)
        return None


def with_headers(send: Send) -> Any:
    """The same way to send, with HEADERS in each response."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return send_with_headers
