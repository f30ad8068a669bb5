"""The adapter as a GGUF: it does on llama.cpp's base what it does on transformers' one, in every family."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from src.errors import UserError
from src.export.gguf import convert_to_gguf
from src.export.lora import write_lora_gguf
from src.files import read_json, write_json
from src.inference.llama_cpp import LlamaCppEngine
from src.inference.llama_cpp_loss import llama_cpp_losses
from src.inference.reference_loss import ReferenceLoss, reference_losses
from src.models.adapter import save_adapter
from src.models.backends.transformers import load_trainable
from src.models.base_note import describe_base
from src.models.loading import load_adapted, load_base
from src.numerics import seed_everything
from src.params import TrainParams
from src.prompts.tokenizer_files import save_tokenizer
from src.prompts.tokenizers import load_tokenizer

LENGTH = 128


@pytest.fixture
def adapt(train_params: TrainParams, tmp_path: Path) -> Callable[[Path], Path]:
    """Puts an adapter of random weights on a base; its folder."""

    def adapted(base: Path) -> Path:
        seed_everything(1)
        model = load_trainable(base, train_params)
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.5 if "q_proj" in name or "k_proj" in name else 0.1)
        (tmp_path / "adapter").mkdir()
        save_adapter(model, load_tokenizer(base, "plain"), describe_base(base, False), tmp_path / "adapter")
        return tmp_path / "adapter"

    return adapted


def nats(losses: list[ReferenceLoss]) -> list[float]:
    return [loss.nats for loss in losses]


@pytest.mark.parametrize("family", ["llama", "mistral", "qwen2"])
def test_the_adapter_does_the_same_in_llama_cpp(
    family_base: Callable[[str], Path], adapt: Callable[[Path], Path], record: Any, family: str, tmp_path: Path
) -> None:
    base = family_base(family)
    adapter, tokenizer = adapt(base), load_tokenizer(base, "plain")
    records = [record("plain", "Brass Lamp", "A lamp of brass, 3 é 😀."), record("plain", "Owl", "An owl.")]
    load_base(base, four_bit=False, exact=True).half().save_pretrained(tmp_path / "base")
    save_tokenizer(tokenizer, tmp_path / "base")
    convert_to_gguf(tmp_path / "base", tmp_path / "base.gguf", "f16", "base")
    write_lora_gguf(adapter, base, tmp_path / "lora.gguf")
    engine = LlamaCppEngine(tmp_path / "base.gguf", tmp_path / "lora.gguf")
    found = {scale: llama_cpp_losses(engine.at_scale(scale), tokenizer, records, LENGTH) for scale in (0.0, 1.0)}
    for scale, folder in {0.0: None, 1.0: adapter}.items():
        expected = reference_losses(load_adapted(base, folder, False, exact=True), tokenizer, records, LENGTH)
        assert [loss.tokens for loss in found[scale]] == [loss.tokens for loss in expected]
        assert nats(found[scale]) == pytest.approx(nats(expected), rel=1e-3)
    assert nats(found[0.0]) != pytest.approx(nats(found[1.0]), rel=1e-2)


@pytest.mark.parametrize("option", ["use_dora", "use_rslora", "modules_to_save"])
def test_an_adapter_that_is_more_than_lora_is_refused(
    base_folder: Path, adapt: Callable[[Path], Path], option: str, tmp_path: Path
) -> None:
    path = adapt(base_folder) / "adapter_config.json"
    write_json(path, read_json(path) | {option: True})
    with pytest.raises(UserError, match=f"sets {option}, which llama.cpp cannot add .* take lora out"):
        write_lora_gguf(path.parent, base_folder, tmp_path / "lora.gguf")


def test_a_weight_that_llama_cpp_does_not_know_is_refused(
    base_folder: Path, adapt: Callable[[Path], Path], tmp_path: Path
) -> None:
    from safetensors.torch import save_file

    adapter = adapt(base_folder)
    save_file({"base_model.model.score.weight": torch.zeros(2)}, adapter / "adapter_model.safetensors")
    with pytest.raises(UserError, match=r"holds base_model\.model\.score\.weight, which llama\.cpp has no name for"):
        write_lora_gguf(adapter, base_folder, tmp_path / "lora.gguf")
