"""An adapter on disk is the same bytes for the same weights."""

import json
from pathlib import Path
from typing import Any

import torch

from src.models.adapter import LINEAR_LAYERS, save_adapter
from src.models.backends.transformers import load_trainable
from src.models.base_note import describe_base
from src.numerics import seed_everything
from src.params import TrainParams
from src.prompts.rendering import DATE_PIN
from src.prompts.tokenizers import load_tokenizer


def adapted(base: Path, train: TrainParams) -> Any:
    """The base with an adapter whose B matrices are large enough to matter."""
    seed_everything(1)
    model = load_trainable(base, train)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    return model


def test_equal_weights_are_equal_files(
    base_folder: Path, tokenizer: Any, template: Any, train_params: TrainParams, tmp_path: Path
) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        save_adapter(adapted(base_folder, train_params), tokenizer, describe_base(base_folder, False), folder)
    one, two = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders)
    assert one == two
    assert "README.md" not in one
    assert json.loads(one["adapter_config.json"])["target_modules"] == sorted(LINEAR_LAYERS)


def test_the_template_travels_with_the_adapter(
    base_folder: Path, tokenizer: Any, template: Any, train_params: TrainParams, tmp_path: Path
) -> None:
    save_adapter(adapted(base_folder, train_params), tokenizer, describe_base(base_folder, False), tmp_path)
    loaded = load_tokenizer(tmp_path, template)
    assert loaded.chat_template == tokenizer.chat_template
    assert loaded.chat_template.count(DATE_PIN) == (template == "chat")
    assert loaded.pad_token == tokenizer.pad_token
