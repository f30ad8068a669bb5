"""base: a local folder is copied, and a model that is refused leaves the last one."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from src.errors import UserError
from src.params import BaseParams, Params
from src.prompts.tokenizers import load_tokenizer
from src.stages import base

EMBEDDED = Path(__file__).parents[2] / "models/embedded"


def params(**given: Any) -> Params:
    chosen: dict[str, Any] = {"repository": "-", "revision": "-", "folder": "-"} | given
    return Params.model_construct(base=BaseParams(**chosen))


def contents() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path("models/base").iterdir()}


def test_a_local_folder_is_copied(project: Path, base_folder: Path) -> None:
    base.main(params(source="local", folder=str(base_folder)))
    assert contents() == {path.name: path.read_bytes() for path in base_folder.iterdir()}


@pytest.mark.parametrize("folder", ["no/such", "."])
def test_a_folder_without_a_model_leaves_the_last_one(project: Path, base_folder: Path, folder: str) -> None:
    base.main(params(source="local", folder=str(base_folder)))
    before = contents()
    with pytest.raises(UserError, match=r"base\.folder"):
        base.main(params(source="local", folder=folder))
    assert contents() == before


def test_the_embedded_model_is_copied_as_it_was_published(project: Path) -> None:
    base.main(params(source="local", folder=str(EMBEDDED)))
    copied = contents()
    assert copied.pop("declared_license.json") == b'{\n  "license": "apache-2.0"\n}\n'
    assert copied == {path.name: path.read_bytes() for path in EMBEDDED.iterdir() if path.name in copied}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= copied.keys()
    assert load_tokenizer("models/base", "chat").pad_token == "<|finetune_right_pad_id|>"


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(path.read_bytes()[:-1]), Path.unlink])
def test_a_model_that_is_not_the_published_one_is_refused(project: Path, change: Callable[[Path], object]) -> None:
    shutil.copytree(EMBEDDED, "copy")
    change(Path("copy/tokenizer.json"))
    with pytest.raises(UserError, match=r"copy/tokenizer\.json is not the file that copy/SHA256SUMS names: restore"):
        base.main(params(source="local", folder="copy"))
    assert not Path("models/base").exists()


def test_a_token_that_no_request_can_hold_is_named_and_not_shown(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secreté")
    with pytest.raises(UserError, match="token of the hub holds characters that no token has") as refused:
        base.main(params(source="hub", repository="owner/name", revision="0" * 40))
    assert "hf_" not in str(refused.value) and not Path("models/base").exists()
