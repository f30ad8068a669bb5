"""The API as its command starts it, in a process of its own on a free port, for the tests that ask it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from openai import OpenAI

ROOT = Path(__file__).parents[2]
KEY_VARIABLE = "SHELFTALK_API_KEY"


class Server:
    """A running API.

    Args:
        process: it.
        log: the file with its log.
    """

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self.process, self.log = process, log
        assert process.stdout
        self.greeting = process.stdout.readline()  # blocks until it answers, or has ended
        found = re.search(r"http://\S+/v1", self.greeting)
        assert found, f"{self.greeting}{log.read_text(encoding='utf-8')}"
        self.address = found[0]

    def client(self, key: str = "none", **options: Any) -> OpenAI:
        """OpenAI's own client."""
        return OpenAI(base_url=self.address, api_key=key, **{"max_retries": 0, "timeout": 120} | options)

    def curl(self, path: str, *words: str) -> "subprocess.CompletedProcess[str]":
        """What curl says; a path begins behind /v1."""
        command = ["curl", "-sS", "--max-time", "120", f"{self.address}{path}", *words]
        return subprocess.run(command, capture_output=True, text=True)

    def health(self) -> dict[str, Any]:
        """What it says of itself."""
        with urlopen(f"{self.address.removesuffix('/v1')}/health") as response:
            return dict(json.load(response))

    def logged(self) -> str:
        """The log so far."""
        return self.log.read_text(encoding="utf-8")

    def stop(self, by: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Stops it; its status, and what it printed since it began to answer."""
        self.process.send_signal(by)
        printed, _ = self.process.communicate(timeout=60)
        return self.process.returncode, printed


def start_command(folder: Path, log: Path, *words: str, key: str | None = None) -> "subprocess.Popen[str]":
    """The command, started in a project's folder.

    Args:
        folder: with models/export and data/index.sqlite.
        log: the file that its standard error goes to.
        words: of the command line.
        key: in its environment.
    """
    environment = {name: value for name, value in os.environ.items() if name != KEY_VARIABLE}
    environment |= {"PYTHONPATH": str(ROOT), **({KEY_VARIABLE: key} if key is not None else {})}
    command = [sys.executable, "-m", "src.serving.api", *words]
    with log.open("w") as errors:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)


@contextmanager
def serve_api(folder: Path, log: Path, *words: str, key: str | None = None) -> Iterator[Server]:
    """The API on a free port; arguments as of `start_command`."""
    process = start_command(folder, log, "--port", "0", *words, key=key)
    try:
        yield Server(process, log)
    finally:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()
