"""Serves the exported model by OpenAI's chat interface, with the sources of each answer.

Covers the command: where it listens, the key without which it listens on this machine alone, and its end. The routes
are in api_app.py.

    python -m src.serving.api
    SHELFTALK_API_KEY=… python -m src.serving.api --host 0.0.0.0 --port 8000
"""

import argparse
import ipaddress
import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from src.errors import UserError
from src.serving import api_errors
from src.serving.hosts import LOCAL_NAMES

if TYPE_CHECKING:
    from fastapi import FastAPI

    from src.serving.api_line import AnswerLine

KEY_VARIABLE = "SHELFTALK_API_KEY"
SHORTEST_KEY = 16  # characters: what is shorter can be tried out
MOST_SLOTS = 32  # each has a context of its own in memory
LAST_PORT = 65_535
LAST_SECONDS = 2  # at the end, for responses that nobody reads


class Place(NamedTuple):
    """Where the server listens."""

    listener: socket.socket
    """Bound, and not yet heard."""
    address: str
    """As a client asks for it."""
    local: bool
    """Whether no other machine reaches it."""


def read_key(environment: Mapping[str, str]) -> str | None:
    """The key that requests have to send, if there is one.

    Raises:
        UserError: if no header can hold it, or it is too short.
    """
    key = environment.get(KEY_VARIABLE, "").strip()
    if key and not (len(key) >= SHORTEST_KEY and key.isascii() and key.isprintable() and " " not in key):
        raise api_errors.odd_api_key(KEY_VARIABLE, SHORTEST_KEY)
    return key or None


def take_place(host: str, port: int, key: str | None) -> Place:
    """Takes the port before the model is loaded.

    Args:
        host: a name or address of this machine.
        port: 0 takes a free one.
        key: without it only this machine may ask.

    Raises:
        UserError: if the host is none of this machine's, other machines could ask without a key, or the port is taken.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        local = ipaddress.ip_address(address[0]).is_loopback
        if not local and not key:
            raise api_errors.no_api_key(host, KEY_VARIABLE)
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, UnicodeError) as error:
        raise api_errors.no_place(host, port, error) from None
    name = f"[{address[0]}]" if family == socket.AF_INET6 else address[0]
    return Place(listener, f"http://{name}:{listener.getsockname()[1]}/v1", local)


def serve(arguments: argparse.Namespace) -> None:
    """Loads the model and answers until the server is stopped.

    Args:
        arguments: of the command line.

    Raises:
        UserError: if it cannot be started.
    """
    key = read_key(os.environ)
    place = take_place(arguments.host, arguments.port, key)
    from src.serving.api_app import Access, Api, make_app
    from src.serving.api_line import AnswerLine
    from src.serving.model import ServedModel
    from src.serving.search import TitleIndex

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while llama.cpp loads a model, Python hears no signal
    index, model = TitleIndex(), ServedModel(slots=arguments.slots)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    line = AnswerLine(arguments.slots, arguments.waiting)
    names = LOCAL_NAMES | {arguments.host.lower()} if place.local else None
    app = make_app(Api(model, index, line, arguments.log_prompts), Access(key, names))
    greeting = f"api: answers at {place.address}, {'with the key' if key else 'without a key'}; stop it by Ctrl-C."
    run_app(app, line, place.listener, greeting)


def run_app(app: "FastAPI", line: "AnswerLine", listener: socket.socket, greeting: str) -> None:
    """Answers until a signal comes.

    Args:
        app: what answers.
        line: of those who wait for an answer; it is ended first.
        listener: a bound socket.
        greeting: printed once it answers.
    """
    import uvicorn

    class Server(uvicorn.Server):
        """Tells when it answers, and ends the answers that are being written, so that it need not wait for them."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            print(greeting, flush=True)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            line.stop()
            logging.getLogger("uvicorn.error").disabled = True  # it tells at length whom it cuts off
            await super().shutdown(sockets)

    # Neither uvicorn's log of requests, which holds what is asked for, nor trust in headers that anyone can write.
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=LAST_SECONDS,
    )
    Server(config).run([listener])


def read_arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m src.serving.api",
        description="Serves the exported model by OpenAI's chat interface.",
        epilog=f"The key is read from the environment variable {KEY_VARIABLE}.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--slots", type=int, default=4, help="answers written at once (default: %(default)s)")
    parser.add_argument("--waiting", type=int, default=64, help="requests that may wait (default: %(default)s)")
    parser.add_argument("--log-prompts", action="store_true", help="log messages and answers, which are left out else")
    arguments = parser.parse_args()
    if not 1 <= arguments.slots <= MOST_SLOTS:
        parser.error(f"--slots is {arguments.slots}, and must be 1 to {MOST_SLOTS}")
    if not 0 <= arguments.port <= LAST_PORT:  # the system would take the remainder
        parser.error(f"--port is {arguments.port}, and must be 0 to {LAST_PORT}")
    if arguments.waiting < 0:
        parser.error(f"--waiting is {arguments.waiting}, and must be 0 or more")
    return arguments


def main() -> None:
    """Serves until it is told to stop."""
    arguments = read_arguments()
    logging.basicConfig(format="%(asctime)s %(message)s")
    logging.getLogger("shelftalk.api").setLevel(logging.INFO)
    try:
        serve(arguments)
    except UserError as error:
        sys.exit(f"api: {error}")
    except KeyboardInterrupt:
        print("api: stopped.", flush=True)
        os._exit(0)  # llama.cpp would first finish the batch that it computes, which may take long


if __name__ == "__main__":
    main()
