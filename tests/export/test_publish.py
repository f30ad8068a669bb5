"""Publishing: what goes up and what does not, what is refused before any upload, and that no token gets anywhere."""

import shutil
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi, ModelCard, constants
from huggingface_hub.utils import _http

from src.errors import UserError
from src.export import publish
from tests.dvc_project import Project
from tests.export.fake_hub import FakeHub, serve_hub

TOKEN = "hf_PLANTEDTOKENPLANTEDTOKEN"
CARD = """---
license: apache-2.0
library_name: peft
---

# A model

model = PeftModel.from_pretrained(base, "models/export/adapter")
"""
EXPORT = {
    "models/export/adapter/adapter_config.json": "{}",
    "models/export/adapter/adapter_model.safetensors": "weights",
    "models/export/merged/model.safetensors": "merged weights",
    "models/export/shelftalk-q8_0.gguf": "GGUF of 8 bits",
    "models/export/shelftalk-f16.gguf": "GGUF of 16 bits",
    "models/export/Modelfile": "FROM ./shelftalk-q8_0.gguf\n",
    "models/export/serving.json": '{"check_titles": ["private"]}',
    "models/export/notes.txt": "private",
    "models/base/LICENSE": "The licence.",
    "models/MODEL_CARD.md": CARD,
}
PIPELINE = """stages:
  export:
    cmd: mkdir -p models && cp -r adapter.source models/export
    deps: [adapter.source]
    outs: [models/export]
  model_card:
    cmd: cp card.source models/MODEL_CARD.md
    deps: [card.source, models/export]
    outs:
      - models/MODEL_CARD.md: {cache: false}
"""


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an export, as the current one."""
    write(tmp_path, EXPORT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub on this machine; what is sent again after a failure is sent at once.

    Large files go to it by git-lfs: Xet, which is the library's first choice, has a storage of its own.
    """
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(_http.time, "sleep", lambda seconds: None)
    with serve_hub() as served:
        yield served


def send(hub: FakeHub, private: bool = False) -> str:
    api = HfApi(endpoint=hub.address, token=TOKEN)
    return publish.upload(api, "a/b", private, publish.published_files(None), publish.published_card("a/b"))


def test_the_forms_the_card_and_the_licence_go_up_and_nothing_else(exported: Path, hub: FakeHub) -> None:
    assert send(hub) == f"{hub.address}/a/b/commit/1"
    there = {name.removeprefix("models/export/").removeprefix("models/base/") for name in EXPORT}
    private = {"serving.json", "notes.txt", "models/MODEL_CARD.md"}
    assert hub.files.keys() == there - private | {"README.md"}
    for name in hub.files.keys() - {"README.md", "LICENSE"}:
        assert hub.files[name] == Path("models/export", name).read_bytes()
    readme = hub.files["README.md"].decode()
    assert ModelCard(readme).data.to_dict() == {"license": "apache-2.0", "library_name": "peft"}
    assert 'from_pretrained(base, "a/b", subfolder="adapter")' in readme
    assert hub.keys == {f"Bearer {TOKEN}", None}  # the storage has an address of its own, and gets no token
    assert hub.messages == ["Publish the model of commit an unknown commit"]


def test_what_the_hub_has_is_not_sent_again(exported: Path, hub: FakeHub) -> None:
    hub.fails = {"/commit/": 500}
    with pytest.raises(UserError, match=r"\(500\): it is in trouble"):
        send(hub)
    assert hub.large and not hub.files
    hub.fails, before = {}, len(hub.requests)
    send(hub)
    assert not [request for request in hub.requests[before:] if request.startswith("PUT")]
    assert "shelftalk-f16.gguf" in hub.files and len(hub.messages) == 1
    send(hub)
    assert len(hub.messages) == 1


def test_chosen_forms_go_up_beside_the_adapter(exported: Path) -> None:
    assert list(publish.published_files(["f16"])) == [
        "LICENSE",
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "shelftalk-f16.gguf",
    ]
    assert "Modelfile" in publish.published_files(["q8_0"])
    with pytest.raises(UserError, match="models/export has no lora, only adapter, merged, f16, q8_0: add it to export"):
        publish.published_files(["lora"])


def test_every_text_of_the_licence_goes_up(exported: Path) -> None:
    write(Path(), {"models/base/NOTICE": "Whose it is.", "models/base/USE_POLICY.md": "What it is not for."})
    assert publish.published_files(["f16"]).keys() >= {"LICENSE", "NOTICE", "USE_POLICY.md"}


def test_a_public_repository_is_not_taken_for_a_private_one(exported: Path, hub: FakeHub) -> None:
    hub.private = False
    with pytest.raises(UserError, match="a/b is there already and public, and --private is given: nothing was sent"):
        send(hub, private=True)
    assert not hub.files and not hub.large
    hub.private = None
    send(hub, private=True)
    assert hub.private is True and hub.files


STATUSES = {
    401: "log in with `hf auth login`",
    403: "your token may not write there",
    404: "no such repository or owner",
    409: "somebody else writes to it",
    413: "leave that form out by --forms",
    429: "wait some minutes",
    500: "it is in trouble: try again later",
    418: "huggingface_hub may be too old",
}


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("request_path", ["/api/repos/create", "/preupload/", "/objects/batch", "/upload/", "/commit/"])
def test_a_refusal_of_the_hub_is_a_sentence(exported: Path, hub: FakeHub, status: int, request_path: str) -> None:
    if (status, request_path) == (409, "/api/repos/create"):
        pytest.skip("the repository is there, which is no failure")
    hub.fails = {request_path: status}
    if status < 404:
        hub.fails["/api/models/a/b"] = status  # where it looks whether the repository is there
    with pytest.raises(UserError, match=rf"^the hub refused a/b \({status}\): ") as refused:
        send(hub)
    assert STATUSES[status] in str(refused.value)
    assert_no_token(refused.value)


def test_a_hub_that_does_not_answer_is_a_sentence(exported: Path) -> None:
    with serve_hub() as hub:
        pass
    with pytest.raises(
        UserError, match=r"^the hub cannot be reached from here, or broke off \(ConnectError\)"
    ) as refused:
        send(hub)
    assert_no_token(refused.value)


def assert_no_token(error: BaseException) -> None:
    """No error in a chain holds the token: not in its words, and not in a request that hangs on it."""
    assert error.__cause__ is None and error.__context__ is None
    assert TOKEN not in "".join(traceback.format_exception(error)) + repr(vars(error))


@pytest.mark.parametrize(
    ("breaks", "sentence"),
    [
        (lambda: shutil.rmtree("models/export"), "models/export/adapter is missing"),
        (lambda: Path("models/MODEL_CARD.md").unlink(), "models/MODEL_CARD.md is missing"),
        (lambda: write(Path(), {"models/MODEL_CARD.md": CARD.replace("apache-2.0", "unknown")}), "names no licence"),
        (lambda: write(Path(), {"models/MODEL_CARD.md": "# A model"}), "names no licence"),
        (lambda: write(Path(), {"models/MODEL_CARD.md": CARD + "TODO: limits"}), "still has 'TODO' in it"),
    ],
    ids=["no-export", "no-card", "unknown-licence", "no-metadata", "placeholder"],
)
def test_what_is_not_in_order_is_refused(exported: Path, breaks: Any, sentence: str) -> None:
    breaks()
    with pytest.raises(UserError) as refused:
        publish.published_files(None)
        publish.published_card("a/b")
    assert sentence in str(refused.value)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A DVC project whose stages export and model_card are up to date."""
    project = Project(tmp_path_factory.mktemp("publish") / "project")
    sources = {name.replace("models/export", "adapter.source"): text for name, text in EXPORT.items()}
    sources["card.source"] = sources.pop("models/MODEL_CARD.md")
    project.start({"dvc.yaml": PIPELINE, ".gitignore": "__pycache__\n", **sources})
    project.environment |= {
        "HF_HOME": str(project.folder.with_name("hub")),
        "HF_HUB_DISABLE_XET": "1",
        "HF_TOKEN": TOKEN,
    }
    return project


def run(project: Project, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What the command says in the project."""
    command = [sys.executable, "-m", "src.export.publish", *words]
    return subprocess.run(
        command, cwd=project.folder, env=project.environment | environment, capture_output=True, text=True
    )


def test_a_dry_run_lists_files_and_sizes_without_a_network(project: Project) -> None:
    said = run(project, "maria/lamps", "--dry-run", HF_ENDPOINT="http://127.0.0.1:1", HF_TOKEN="")
    assert said.returncode == 0, said.stderr
    lines = said.stdout.splitlines()
    assert "       0.000 MB  shelftalk-q8_0.gguf" in lines
    assert lines[-2:] == ["       0.000 MB  in 8 files", "A dry run: nothing was sent to maria/lamps."]


def test_the_command_publishes_and_leaves_no_token_anywhere(project: Project) -> None:
    with serve_hub() as hub:
        said = run(project, "a/b", HF_ENDPOINT=hub.address)
        hub.fails = {"/api/repos/create": 500}
        failed = run(project, "a/b", HF_ENDPOINT=hub.address)
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines()[-1] == f"{hub.address}/a/b/commit/1"
    assert len(hub.files) == 8
    commit = project.call("git", "describe", "--always").strip()
    assert hub.messages == [f"Publish the model of commit {commit}"]
    assert failed.returncode == 1 and failed.stderr.startswith("publish: the hub refused a/b (500)")
    assert TOKEN not in said.stdout + said.stderr + failed.stdout + failed.stderr
    assert TOKEN.encode() not in b"".join(hub.files.values())
    written = [path for path in project.folder.parent.rglob("*") if path.is_file()]
    assert written and not [path for path in written if TOKEN.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("words", "environment", "sentence"),
    [
        (("OWNER/NAME",), {}, "'OWNER/NAME' is not the name of a repository: write your name on the hub"),
        (("lamps", "--dry-run"), {}, "'lamps' is not the name of a repository"),
        (("a/b",), {"HF_TOKEN": ""}, "you are not logged in to the hub: run `hf auth login`, or set HF_TOKEN"),
    ],
)
def test_a_command_that_cannot_work_is_refused(
    project: Project, words: tuple[str, ...], environment: dict[str, str], sentence: str
) -> None:
    said = run(project, *words, HF_ENDPOINT="http://127.0.0.1:1", **environment)
    assert said.returncode == 1 and sentence in said.stderr and "Traceback" not in said.stderr


def test_an_export_that_is_not_current_is_refused(project: Project) -> None:
    """A card changed by hand, a card older than its export, and an export that is not the one of dvc.lock."""
    source, card = project.folder / "adapter.source/Modelfile", project.folder / "models/MODEL_CARD.md"
    for path in (card, source):
        before = path.read_text()
        path.write_text(before + "\n")
        said = run(project, "a/b", "--dry-run")
        path.write_text(before)
        name = "models/MODEL_CARD.md" if path == card else "adapter.source"
        assert said.returncode == 1 and f"is not up to date, or changed by hand ({name})" in said.stderr
    assert run(project, "a/b", "--dry-run").returncode == 0
