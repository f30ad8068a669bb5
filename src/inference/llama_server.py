"""llama.cpp's own server in this process, as xllamacpp carries it: started, asked by HTTP and stopped.

Covers what keeps others from it, and one request from what the last one left behind. Does not know prompts and answers:
llama_cpp.py does.
"""

import atexit
import json
import secrets
from http.client import HTTPResponse
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen
from weakref import WeakSet

from src.inference import refusals

TIMEOUT = 60  # seconds until the server begins to respond, or goes on; a whole answer may take longer
HTTP_THREADS = 64  # a request that waits for a slot holds one
PING_SECONDS = 1  # after which an answer's client is looked for where no token came: when it waits, or the server stops

RUNNING: "WeakSet[LlamaServer]" = WeakSet()


class LlamaServer:
    """A server that runs until it is stopped, or nothing asks it any more.

    Args:
        params: xllamacpp's CommonParams, with the model; the rest of them is changed.

    Raises:
        RuntimeError: if llama.cpp does not load the model; it tells no reason.
    """

    def __init__(self, params: Any) -> None:
        import xllamacpp

        self.key = secrets.token_hex()
        protect_server(params, self.key)
        self.server = xllamacpp.Server(params)
        self.address: str = self.server.listening_address
        self.await_start()
        RUNNING.add(self)

    def await_start(self) -> None:
        """Waits until the server takes on work: one that is stopped before never ends."""
        asked = Request(f"{self.address}/slots", headers={"Authorization": f"Bearer {self.key}"})
        urlopen(asked, timeout=TIMEOUT).close()  # answered by what takes on work, as nothing else without a prompt is

    def stop(self) -> None:
        """Ends what it is writing, and frees the model's memory."""
        self.server = None

    def request(self, path: str, body: dict[str, Any], timeout: float | None = TIMEOUT) -> HTTPResponse:
        """The server's response to a request by HTTP.

        Args:
            path: of the server's interface.
            body: what is posted, as JSON.
            timeout: seconds; None waits as long as it takes.

        Raises:
            UserError: if the server refuses it, or was stopped.
        """
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"}
        posted = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")  # half a character is none
        try:
            return urlopen(Request(f"{self.address}{path}", posted, headers), timeout=timeout)
        except HTTPError as error:
            raise refusals.refused_prompt(json.load(error)["error"]["message"]) from None
        except (URLError, ConnectionError):
            raise refusals.stopped_server() from None


def protect_server(params: Any, key: str) -> None:
    """Keeps everyone but this process from the server, and each request from what others left behind.

    Args:
        params: xllamacpp's CommonParams, which are changed.
        key: what every request has to bring.
    """
    params.hostnames, params.port = ["127.0.0.1"], 0  # a free port, which the machine's other users see too
    params.api_keys, params.ui = [key], False
    params.cache_prompt, params.cache_ram_mib = False, 0
    params.n_threads_http, params.sse_ping_interval = HTTP_THREADS, PING_SECONDS


@atexit.register
def stop_servers() -> None:
    """Stops what runs when the process ends, which a server that still writes would end by a crash."""
    for server in list(RUNNING):
        server.stop()
