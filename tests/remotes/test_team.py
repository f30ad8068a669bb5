"""A team of two with one storage: what one pushes the other pulls and need not run; experiments go over, too."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from ruamel.yaml import YAML

from tests.remotes.conftest import KEY, Clone, Storage
from tests.scratch import make_project, stages_run

STAGES = ("decompress", "clean", "sample")  # they take seconds
LARGE = 64 * 2**20  # bytes, so that a push takes long enough to be interrupted


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare git repository of a small project whose first stages have run, with their results in the first clone."""
    folder = tmp_path_factory.mktemp("team")
    (folder / "first").mkdir()
    make_project(folder / "first")
    first = Clone(folder / "first", Storage("", None, {}, {}))
    keep_stages(folder / "first/dvc.yaml")
    first.run("dvc", "repro")
    first.run("git", "commit", "-qam", "Reproduce the first stages")
    return folder


def keep_stages(path: Path) -> None:
    """Leaves of a pipeline the first stages, so that all of it has run."""
    yaml = YAML()
    pipeline = yaml.load(path)
    pipeline["stages"] = {name: pipeline["stages"][name] for name in STAGES}
    for key in ("metrics", "plots"):
        pipeline.pop(key, None)
    yaml.dump(pipeline, path)


@pytest.fixture
def first(reproduced: Path, storage: Storage, tmp_path: Path) -> Clone:
    """The first member's clone, with the remote set up as the documentation says."""
    (tmp_path / "first").mkdir()
    subprocess.run(["cp", "-a", f"{reproduced}/first/.", tmp_path / "first"], check=True)
    clone = Clone(tmp_path / "first", storage)
    clone.run("dvc", "remote", "add", "--default", "team", storage.url)
    for name, value in storage.options.items():
        clone.run("dvc", "remote", "modify", *(["--local"] if name == "keyfile" else []), "team", name, value)
    clone.run("git", "commit", "-qam", "Share results")
    subprocess.run(["git", "clone", "-q", "--bare", tmp_path / "first", tmp_path / "origin.git"], check=True)
    clone.run("git", "remote", "add", "origin", str(tmp_path / "origin.git"))
    return clone


def second_of(first: Clone, storage: Storage) -> Clone:
    """The second member's clone: git alone."""
    folder = first.folder.with_name("second")
    subprocess.run(["git", "clone", "-q", first.folder.with_name("origin.git"), folder], check=True)
    clone = Clone(folder, storage)
    if "keyfile" in storage.options:
        clone.run("dvc", "remote", "modify", "--local", "team", "keyfile", storage.options["keyfile"])
    return clone


def test_what_one_pushes_the_other_pulls_and_need_not_run(first: Clone, storage: Storage) -> None:
    first.run("dvc", "push")
    second = second_of(first, storage)
    second.run("dvc", "pull")
    assert stages_run(second.run("dvc", "repro")) == []
    assert (second.folder / "data/clean.parquet").read_bytes() == (first.folder / "data/clean.parquet").read_bytes()


def test_an_experiment_goes_over_with_its_results(first: Clone, storage: Storage) -> None:
    first.run("dvc", "exp", "run", "-n", "other-seed", "-S", "sample.seed=7")
    first.run("dvc", "exp", "push", "origin", "other-seed")
    second = second_of(first, storage)
    second.run("dvc", "exp", "pull", "origin", "other-seed")
    second.run("dvc", "exp", "apply", "other-seed")
    assert stages_run(second.run("dvc", "repro")) == []
    assert "seed: 7" in (second.folder / "params.yaml").read_text()


def test_a_push_that_is_killed_loses_nothing(first: Clone, storage: Storage) -> None:
    large = first.folder / "data/raw/large.bin"
    large.write_bytes(os.urandom(LARGE))
    first.run("dvc", "add", "data/raw/large.bin")
    first.run("git", "add", "-A")
    first.run("git", "commit", "-qm", "Add a large file")
    first.run("git", "push", "-q", "origin", "HEAD")
    push = subprocess.Popen(
        ["dvc", "push", "-q", "-j", "1"], cwd=first.folder, env=first.environment, start_new_session=True
    )
    wait_until_sending(storage, push)
    os.killpg(push.pid, signal.SIGKILL)
    push.wait()
    first.run("dvc", "push")
    second = second_of(first, storage)
    second.run("dvc", "pull")
    assert (second.folder / "data/raw/large.bin").read_bytes() == large.read_bytes()
    assert stages_run(second.run("dvc", "repro")) == []


def wait_until_sending(storage: Storage, push: subprocess.Popen[bytes]) -> None:
    """Returns once something of a push has arrived, where that can be seen; else after a time well within it."""
    if storage.folder is None:
        time.sleep(2.5)  # DVC alone takes a second to start
        return
    while push.poll() is None and not any(path.is_file() for path in storage.folder.rglob("*")):
        time.sleep(0.01)


def test_a_raw_file_comes_from_its_address(reproduced: Path, tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "-q", reproduced / "first", tmp_path / "clone"], check=True)
    clone = Clone(tmp_path / "clone", Storage("", None, {}, {}))
    published = clone.folder / "data/sample/trn.json.gz"
    with web_server(published.parent) as address:
        clone.run("dvc", "import-url", f"{address}/{published.name}", "data/raw/archive.json.gz")
    clone.run("git", "add", "data/raw/archive.json.gz.dvc")
    assert (clone.folder / "data/raw/archive.json.gz").read_bytes() == published.read_bytes()
    assert "decompress" in stages_run(clone.run("dvc", "exp", "run", "-S", "data.raw=data/raw/archive.json.gz"))


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """Serves a folder's files by HTTP; its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_no_key_is_left_in_a_file(first: Clone, storage: Storage) -> None:
    first.run("dvc", "push")
    secret = KEY["AWS_SECRET_ACCESS_KEY"].encode()
    files = [path for path in first.folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert not [path for path in files if secret in path.read_bytes()]
