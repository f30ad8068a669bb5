"""Keys and passwords typed where none belong: found and refused in a sentence that does not show them."""

import re
from pathlib import Path

import pytest

from src import params
from src.credentials import SECRET_OPTIONS, holds_credential, remote_credentials
from src.errors import UserError
from tests.scratch import set_parameters

SECRET = "0123456789abcdefghijklmnopqrstuv"
CREDENTIALS = [
    f"https://me:{SECRET}@host/trn.json.gz",
    f"https://:{SECRET}@host",
    f"https://{SECRET}@github.com/a/b",
    f"https://account.blob.core.windows.net/data/trn.json.gz?sv=2026&sig={SECRET}",
    f"sk-{SECRET}",
    f"data/sk-proj-{SECRET}",
    f"hf_{SECRET}",
    f"ghp_{SECRET}",
    f"github_pat_{SECRET}",
    f"glpat-{SECRET}",
    f"AIza{SECRET}",
    "AKIAIOSFODNN7EXAMPLE",
]
FREE = [
    *("data/raw/trn.json.gz", "https://api.openai.com/v1", "ssh://me@host/folder", "sk-learn"),
    *("http://127.0.0.1:8000/v1", "C:\\data@home", "ft:gpt-4o-mini-2024-07-18:org:shelftalk:AbCd1234", "a@b.example"),
    "the-task-force-of-many-words-2026",
    "5a8abab4a5d6f164389b1079fb721cfab8d7126c",
]
PLACES = [
    *("data.raw", "format.instruction", "base.repository", "base.revision", "base.folder", "train.backend"),
    *("train.scheduler", "train.launcher", "evaluate.bertscore", "evaluate.judge", "train.lr", "clean.language"),
]


@pytest.mark.parametrize("text", CREDENTIALS)
def test_a_credential_is_found(text: str) -> None:
    assert holds_credential(text)


@pytest.mark.parametrize("text", FREE)
def test_what_is_none_is_let_through(text: str) -> None:
    assert not holds_credential(text)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("credential", [f"https://me:{SECRET}@host/a", f"hf_{SECRET}"])
def test_a_credential_in_a_parameter_is_refused_and_not_shown(project: Path, place: str, credential: str) -> None:
    set_parameters(project, {"base.source": "hub", place: credential})
    with pytest.raises(UserError, match=rf"params.yaml:\d+: {place} holds what looks like a key") as refused:
        params.load_params()
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("key", ["address", "model", "key_variable"])
def test_a_credential_in_a_service_or_an_endpoint_is_refused_and_not_shown(project: Path, key: str) -> None:
    service = {"address": "https://host/v1", "model": "m", "key_variable": "KEY"} | {key: f"sk-{SECRET}"}
    set_parameters(project, {"train.backend": "openai", "train.endpoint": service})
    set_parameters(project, {"evaluate.endpoints": [{"name": "other"} | service]})
    with pytest.raises(UserError) as refused:
        params.load_params()
    assert f"train.endpoint.{key} holds what looks like a key" in str(refused.value)
    assert f"evaluate.endpoints.0.{key} holds what looks like a key" in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("lines", "option"),
    [
        (f"url = https://me:{SECRET}@host/cache", "url"),
        (f"url = s3://bucket\n    secret_access_key = {SECRET}", "secret_access_key"),
        (f"url = azure://container\n    connection_string = AccountKey={SECRET}", "connection_string"),
        (f"url = ssh://me@host/cache\n    password = {SECRET}", "password"),
    ],
)
def test_a_password_of_a_remote_in_git_is_told_and_not_shown(
    project: Path, monkeypatch: pytest.MonkeyPatch, lines: str, option: str
) -> None:
    Path(".dvc").mkdir()
    Path(".dvc/config").write_text(f"[core]\n    analytics = false\n['remote \"team\"']\n    {lines}\n")
    monkeypatch.setattr("sys.argv", ["params", "check"])
    with pytest.raises(SystemExit, match=rf"\.dvc/config: {option} of team .*`dvc remote modify --local team") as told:
        params.main()
    assert SECRET not in str(told.value)


def test_every_option_of_dvc_that_holds_a_secret_is_known() -> None:
    from dvc.config_schema import REMOTE_SCHEMAS

    options = {str(option) for schema in REMOTE_SCHEMAS.values() for option in schema}
    secret = re.compile(r"(?!ask_).*(password$|passphrase$|secret|token$|_key$|connection_string|auth_header)")
    assert set(filter(secret.match, options)) == SECRET_OPTIONS


def test_a_remote_without_a_password_is_fine(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path(".dvc").mkdir()
    Path(".dvc/config").write_text("['remote \"team\"']\n    url = ssh://me@host/cache\n    user = me\n")
    assert list(remote_credentials()) == []
    Path(".dvc/config").write_bytes(b"\xff[")  # which DVC refuses in its own words
    assert list(remote_credentials()) == []
