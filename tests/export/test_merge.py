"""An adapter merged into its base answers as the two did apart."""

from pathlib import Path
from typing import Any

import pytest
import torch

from src.export.merge import merge_adapter
from src.models.adapter import save_adapter
from src.models.backends.transformers import load_trainable
from src.models.base_note import describe_base
from src.models.loading import load_adapted, load_base
from src.numerics import seed_everything
from src.params import TrainParams


def adapted(base: Path, train: TrainParams) -> Any:
    """The base with an adapter whose B matrices are large enough to matter."""
    seed_everything(1)
    model = load_trainable(base, train)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    return model


def logits(model: Any) -> Any:
    with torch.no_grad():
        return model.eval()(torch.arange(1, 60)[None]).logits.float()


@pytest.mark.parametrize("four_bit", [True, False])
def test_the_merged_model_answers_as_the_adapter_does(
    base_folder: Path, chat_tokenizer: Any, train_params: TrainParams, tmp_path: Path, four_bit: bool
) -> None:
    train = train_params.model_copy(update={"four_bit": four_bit})
    save_adapter(adapted(base_folder, train), chat_tokenizer, describe_base(base_folder, four_bit), tmp_path)
    expected = logits(load_adapted(base_folder, tmp_path, four_bit))
    merged = merge_adapter(base_folder, tmp_path, four_bit)
    assert merged.dtype == torch.float16
    assert not [name for name, _ in merged.named_parameters() if "lora" in name]
    off = (logits(merged.float()) - expected).abs().max()
    moved = (logits(load_base(base_folder, four_bit)) - expected).abs().max()
    assert off < 0.01 * moved
