"""The base model's files: a folder is copied, a hub that cannot be reached explained."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from src.errors import UserError
from src.models.sources import copy_model

ROOT = Path(__file__).parents[2]
REVISION = "5a8abab4a5d6f164389b1079fb721cfab8d7126c"


def complete(folder: Path) -> Path:
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (folder / name).write_text('{"architectures": ["LlamaForCausalLM"]}')
    return folder


def test_a_copy_holds_the_model_and_no_code(tmp_path: Path) -> None:
    source, target = complete(tmp_path / "source"), tmp_path / "target"
    target.mkdir()
    for name in ("modeling.py", "pytorch_model.bin", "README.md"):
        (source / name).write_text("")
    for name in ("LICENSE.txt", "chat_template.jinja"):
        (source / name).write_text(name)
    copy_model(source, target)
    assert sorted(path.name for path in target.iterdir()) == [
        "LICENSE.txt",
        "chat_template.jinja",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"base\.folder is 'no/such', which is not a folder"):
        copy_model(Path("no/such"), tmp_path)


class Refusing(BaseHTTPRequestHandler):
    """A hub that has no such repository."""

    def do_GET(self) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *arguments: object) -> None:
        """Prints nothing."""


@contextmanager
def hub() -> Iterator[str]:
    """The address of a hub on this machine."""
    server = HTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def downloaded(home: Path, **environment: str) -> str:
    """What a download is refused with, in a process that reads the hub's settings again, within a minute."""
    code = (
        "from pathlib import Path\nfrom src.errors import UserError\nfrom src.models.sources import download_model\n"
        f"try:\n  download_model('owner/name', '{REVISION}', Path('model'))\n"
        "except UserError as error:\n  print(error)"
    )
    settings = os.environ | {"PYTHONPATH": str(ROOT), "HF_HOME": str(home)} | environment
    run = subprocess.run(
        [sys.executable, "-c", code], env=settings, cwd=home, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.parametrize("setting", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}])
def test_a_hub_that_cannot_be_reached_is_a_user_error(tmp_path: Path, setting: dict[str, str]) -> None:
    assert downloaded(tmp_path, **setting).startswith(
        "base.repository is 'owner/name', and the hub cannot be reached from here: check the network"
    )


def test_a_hub_that_refuses_is_a_user_error(tmp_path: Path) -> None:
    with hub() as address:
        printed = downloaded(tmp_path, HF_ENDPOINT=address)
    assert printed.startswith(
        f"base.repository 'owner/name' at base.revision '{REVISION}' was refused by the hub (404)"
    )
