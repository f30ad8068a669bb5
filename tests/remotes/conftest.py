"""Storage that teams share, for real: a folder, an SSH server that the test starts, and an S3 server.

The packages of extras/ and an SSH server are not part of the usual set-up: a test is skipped where they are missing.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getuser
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest

from tests.scratch import ENVIRONMENT

KINDS = ("folder", "ssh", "s3")
KEY = {"AWS_ACCESS_KEY_ID": "shelftalk", "AWS_SECRET_ACCESS_KEY": uuid4().hex}
STARTS_WITHIN = 20  # seconds


class Storage(NamedTuple):
    """Where a DVC remote is, the folder behind it if it can be seen, and what it takes to reach it."""

    url: str
    folder: Path | None
    options: dict[str, str]
    environment: dict[str, str]


@pytest.fixture(scope="session", params=KINDS)
def storage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """An empty storage of each kind."""
    folder = tmp_path_factory.mktemp(request.param)
    with {"folder": folder_storage, "ssh": ssh_storage, "s3": s3_storage}[request.param](folder) as started:
        yield started


@contextmanager
def folder_storage(folder: Path) -> Iterator[Storage]:
    """A folder that both can reach."""
    yield Storage(str(folder / "storage"), folder / "storage", {}, {})


@contextmanager
def ssh_storage(folder: Path) -> Iterator[Storage]:
    """A folder behind an SSH server of our own, on a free port of this machine."""
    pytest.importorskip("dvc_ssh", reason="needs `make extra-ssh`")
    server = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if not server:
        pytest.skip("needs an SSH server (Debian: openssh-server)")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized_keys")
    port = free_port()
    config = folder / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized_keys\n"
        f"PidFile {folder}/pid\nStrictModes no\nPermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n"
    )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # into which a server that root starts locks itself
    running = subprocess.Popen([server, "-D", "-e", "-f", config], stderr=(folder / "log").open("w"))
    try:
        wait_for_port(port)
        options = {"keyfile": str(folder / "user"), "user": getuser()}
        yield Storage(f"ssh://127.0.0.1:{port}{folder}/storage", folder / "storage", options, {})
    finally:
        running.terminate()
        running.wait()


@contextmanager
def s3_storage(folder: Path) -> Iterator[Storage]:
    """A bucket of moto's S3 server."""
    pytest.importorskip("dvc_s3", reason="needs `make extra-s3`")
    server = pytest.importorskip("moto.server", reason="needs `make extra-tests`").ThreadedMotoServer(port=0)
    import boto3

    server.start()
    host, port = server.get_host_and_port()
    try:
        boto3.client(
            "s3",
            endpoint_url=f"http://{host}:{port}",
            region_name="us-east-1",
            aws_access_key_id=KEY["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEY["AWS_SECRET_ACCESS_KEY"],
        ).create_bucket(Bucket="shelftalk")
        options = {"endpointurl": f"http://{host}:{port}", "region": "us-east-1"}
        yield Storage("s3://shelftalk/team", None, options, KEY)
    finally:
        server.stop()


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int) -> None:
    """Returns as soon as somebody listens on a port."""
    deadline = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, f"nobody listens on port {port}"
            time.sleep(0.05)


class Clone:
    """A team member's clone of the project."""

    def __init__(self, folder: Path, storage: Storage) -> None:
        self.folder = folder
        # Each member's own machine: nothing that DVC keeps beside projects is shared.
        own = {"DVC_SITE_CACHE_DIR": str(folder.with_name(f"{folder.name}-site")), "DVC_NO_ANALYTICS": "1"}
        self.environment = ENVIRONMENT | own | storage.environment

    def run(self, *words: str) -> str:
        """A command's output; it has to succeed."""
        done = subprocess.run(words, cwd=self.folder, env=self.environment, text=True, capture_output=True)
        assert done.returncode == 0, f"{' '.join(words)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr
