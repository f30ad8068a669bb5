"""base: a local folder is copied, the tiny model is built, and a model that is refused leaves the last one."""

from pathlib import Path
from typing import Any

import pytest

from src.errors import UserError
from src.params import BaseParams, Params
from src.prompts.tokenizers import load_tokenizer
from src.stages import base
from src.synthetic import tiny_model


def params(**given: Any) -> Params:
    chosen: dict[str, Any] = {"repository": "-", "revision": "-", "folder": "-", "pretrain_steps": 2, "seed": 7} | given
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


def test_the_tiny_model_is_the_same_bytes_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny_model, "PRODUCTS", 300)
    base.main(params(source="tiny"))
    first = contents()
    assert load_tokenizer("models/base", "chat").pad_token == "<|finetune_right_pad_id|>"
    base.main(params(source="tiny"))
    assert contents() == first
    base.main(params(source="tiny", seed=8))
    assert contents()["model.safetensors"] != first["model.safetensors"]
