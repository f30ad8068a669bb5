"""The page: base and tuned model side by side in a browser, with the nearest record, the evidence, and a vote.

Covers the command: where it listens, who may come in, loading in the background, and ending. app_page.py lays the page
out, app_session.py does what a visitor asks for, app_evidence.py tells of the run behind it, app_guard.py keeps out
what the page does not need. The page itself is Gradio's, which asks no other host for anything.

    python -m src.serving.app                                # http://127.0.0.1:7860
    SHELFTALK_PASSWORD=… python -m src.serving.app --host 0.0.0.0
"""

import argparse
import os
import sys
from hmac import compare_digest
from pathlib import Path
from typing import TYPE_CHECKING

from src.errors import UserError
from src.journal import Journal
from src.scoring.page_votes import PAGE_VOTES
from src.serving import refusals
from src.serving.app_session import Desk
from src.serving.hosts import LOCAL_NAMES
from src.serving.model import EXPORT
from src.serving.search import INDEX

if TYPE_CHECKING:
    from fastapi import FastAPI
    from uvicorn import Server

PASSWORD = "SHELFTALK_PASSWORD"
MOST_SLOTS = 32  # answers at once; a visitor waits for two, and llama.cpp's server has threads for 64
GRACE = 2  # seconds that open answers have when the page is told to end


def build_app(desk: Desk, password: str | None) -> "FastAPI":
    """The page as an application, with all that it does not need closed.

    Args:
        desk: what answers.
        password: which visitors have to know; None lets everyone in.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported
    os.environ["GRADIO_ANALYTICS_MAX_EVENTS"] = "1"  # of which it makes a table after each event, in its own process
    import gradio
    from fastapi import FastAPI

    from src.serving.app_guard import Guard
    from src.serving.app_page import CSS, build_page, page_theme

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    gradio.mount_gradio_app(
        app,
        build_page(desk),
        path="/",
        auth=(lambda _, given: compare_digest(given.encode(), password.encode())) if password else None,
        auth_message="The password is enough: any user name will do." if password else None,
        theme=page_theme(),
        css_paths=[CSS],
        footer_links=[],
        run_history=False,
        show_error=False,
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
    )
    app.add_middleware(Guard, names=None if password else LOCAL_NAMES)
    return app


def listen(page: "FastAPI", host: str, port: int) -> "Server":
    """What serves the page until SIGTERM or Ctrl-C, which break off answers that are being written.

    Args:
        page: the application.
        host: the address to listen at.
        port: likewise.
    """
    import uvicorn

    options = uvicorn.Config(
        page, host=host, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE
    )
    return uvicorn.Server(options)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m src.serving.app", description="Shows base and tuned model side by side in a browser."
    )
    parser.add_argument("--host", default="127.0.0.1", help=f"beyond this machine {PASSWORD} is needed")
    parser.add_argument("--port", type=int, default=7860)
    parser.add_argument("--slots", type=int, default=4, help="answers that are written at once; each visitor gets two")
    parser.add_argument("--export", type=Path, default=EXPORT, metavar="FOLDER", help="default: %(default)s")
    parser.add_argument("--index", type=Path, default=INDEX, metavar="PATH", help="default: %(default)s")
    parser.add_argument("--votes", type=Path, default=PAGE_VOTES, metavar="PATH", help="default: %(default)s")
    parser.add_argument("--log-prompts", action="store_true", help="print what visitors ask")
    return parser.parse_args()


def main() -> None:
    """Opens the page at once, and loads the model meanwhile."""
    given = parse_arguments()
    try:
        password = os.environ.get(PASSWORD) or None
        if given.host not in LOCAL_NAMES and not password:
            raise refusals.open_door(given.host, PASSWORD)
        if not 2 <= given.slots <= MOST_SLOTS:
            raise refusals.wrong_slots(given.slots, MOST_SLOTS)
        desk = Desk(given.export, given.index, Journal(given.votes), given.slots, given.log_prompts)
        server = listen(build_app(desk, password), given.host, given.port)
        print(f"The page is at http://{given.host}:{given.port}; Ctrl-C ends it.", flush=True)
        desk.start_loading()
        server.run()
    except UserError as error:
        sys.exit(f"app: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
