"""A server with OpenAI's chat interface whose answers and failures a test sets: the real client talks to it by HTTP."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

KEY = "sk-test-0123456789"
Reply = tuple[int, Any] | None  # status and body; None drops the connection


def completion(text: str | None, finish_reason: str | None = "stop", **message: Any) -> Reply:
    """A reply that holds an answer, as OpenAI's interface has it."""
    choice = {"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": text, **message}}
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    return 200, {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]} | {
        "usage": usage
    }


def failure(status: int, message: str = "no", **headers: str) -> Reply:
    """A reply with an error."""
    return status, {"error": {"message": message, "type": "error"}}


class FakeEndpoint:
    """What the server was asked, and what it is to answer.

    Attributes:
        replies: gives the reply to a request, by what is asked for and the number of the request from 0.
        requests: the bodies so far.
        keys: what each request had for authorisation.
        largest: how many requests were open at once at most.
    """

    def __init__(self) -> None:
        self.replies: Callable[[dict[str, Any], int], Reply] = lambda body, number: completion(
            f"About {body['messages'][-1]['content']}."
        )
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.open = self.largest = 0
        self.lock = Lock()
        self.address = ""

    def reply(self, body: dict[str, Any], key: str) -> Reply:
        with self.lock:
            number = len(self.requests)
            self.requests.append(body)
            self.keys.append(key)
            self.open += 1
            self.largest = max(self.largest, self.open)
        try:
            return self.replies(body, number)
        finally:
            with self.lock:
                self.open -= 1

    @property
    def asked(self) -> list[str]:
        """The last turn of each request."""
        return [body["messages"][-1]["content"] for body in self.requests]


@contextmanager
def serve_endpoint() -> Iterator[FakeEndpoint]:
    """Runs the server while a test lasts."""
    endpoint = FakeEndpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            reply = endpoint.reply(body, self.headers["Authorization"])
            if reply is None:
                self.connection.close()
                return
            status, content = reply
            data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if isinstance(content, str) else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Retry-After-Ms", "1")  # so that tests do not wait
            with suppress(BrokenPipeError):  # a client that did not wait
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    endpoint.address = f"http://127.0.0.1:{server.server_port}/v1"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield endpoint
    server.shutdown()
    server.server_close()
