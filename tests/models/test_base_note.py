"""An adapter names its base so that another machine finds it, or learns that it has another one."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from src.models.adapter import save_adapter, weights_digest
from src.models.base_note import describe_base
from src.models.licence import keep_licence
from src.models.loading import load_adapted
from src.params import BaseParams, TrainParams
from tests.models.test_adapter import adapted

COMMIT = "5a8abab4a5d6f164389b1079fb721cfab8d7126c"


def origin(source: str, folder: str = "models/embedded") -> BaseParams:
    return BaseParams.model_validate(
        {"source": source, "repository": "owner/name", "revision": COMMIT, "folder": folder}
    )


def test_a_folder_is_named_by_itself_and_its_hash(base_folder: Path) -> None:
    note = describe_base(base_folder, True, origin("local", "/somewhere/else/mine"))
    assert (note["name"], note["revision"]) == (f"mine@sha256:{weights_digest(base_folder)}", None)
    assert (note["quantisation"], note["dtype"], note["licence"]) == ("nf4", "float32", {})
    assert describe_base(base_folder, False)["name"].startswith(f"{base_folder.name}@sha256:")


def test_a_repository_is_named_with_its_commit(base_folder: Path) -> None:
    note = describe_base(base_folder, False, origin("hub"))
    assert (note["name"], note["revision"], note["quantisation"]) == ("owner/name", COMMIT, "none")


def test_the_licence_of_the_base_goes_with_it(base_folder: Path, tmp_path: Path) -> None:
    base, source = tmp_path / "base", tmp_path / "source"
    shutil.copytree(base_folder, base)
    source.mkdir()
    (source / "README.md").write_text("---\nlicense: llama3.2\n---\n")
    keep_licence(source, base)
    assert describe_base(base, True)["licence"] == {"license": "llama3.2"}


def saved(base: Path, tokenizer: Any, train: TrainParams, folder: Path, source: str) -> dict[str, Any]:
    """The adapter_config.json of an adapter that is saved into a folder."""
    folder.mkdir()
    save_adapter(adapted(base, train), tokenizer, describe_base(base, train.four_bit, origin(source)), folder)
    return json.loads((folder / "adapter_config.json").read_text())


def test_an_adapter_of_a_folder_loads_no_other_base(
    base_folder: Path, chat_tokenizer: Any, train_params: TrainParams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peft import AutoPeftModelForCausalLM

    (tmp_path / "models").mkdir()
    (tmp_path / "models/base").symlink_to(base_folder)
    monkeypatch.chdir(tmp_path)
    config = saved(Path("models/base"), chat_tokenizer, train_params, tmp_path / "adapter", "local")
    assert config["base_model_name_or_path"] == f"embedded@sha256:{weights_digest(base_folder)}"
    assert config["revision"] is None
    with pytest.raises(OSError, match=r"embedded@sha256:"):  # and no hub is asked for a model of some such name
        AutoPeftModelForCausalLM.from_pretrained(tmp_path / "adapter")
    assert load_adapted(Path("models/base"), tmp_path / "adapter", four_bit=False)


def test_an_adapter_of_a_repository_finds_it(
    base_folder: Path, chat_tokenizer: Any, train_params: TrainParams, tmp_path: Path
) -> None:
    """As peft's own loader does, here from the hub's cache; ours goes by the folder and its hash."""
    from peft import AutoPeftModelForCausalLM

    config = saved(base_folder, chat_tokenizer, train_params, tmp_path / "adapter", "hub")
    assert (config["base_model_name_or_path"], config["revision"]) == ("owner/name", COMMIT)
    shutil.copytree(base_folder, tmp_path / f"models--owner--name/snapshots/{COMMIT}")
    found = AutoPeftModelForCausalLM.from_pretrained(
        tmp_path / "adapter", cache_dir=tmp_path, local_files_only=True, dtype=torch.float32
    )
    ours, tokens = load_adapted(base_folder, tmp_path / "adapter", four_bit=False), torch.arange(1, 60)[None]
    with torch.no_grad():
        assert torch.equal(found.eval()(tokens).logits, ours(tokens).logits)
