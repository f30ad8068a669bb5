"""Backends: refused where they cannot do what is asked; a 4-bit base computes exactly, and is the base it was."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from src.errors import UserError
from src.models import backends, loading
from src.models.adapter import save_adapter
from src.models.backends.transformers import load_trainable
from src.models.base_note import describe_base
from src.models.loading import compute_dtype, load_adapted, load_base
from src.numerics import seed_everything
from src.params import TrainParams

TOKENS = torch.arange(1, 40)[None]
on_a_cpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


def test_transformers_runs_everywhere(base_folder: Path, train_params: TrainParams) -> None:
    assert callable(backends.get_backend(train_params, base_folder).load_trainable)


@on_a_cpu
def test_unsloth_is_refused_without_a_gpu(base_folder: Path, train_params: TrainParams) -> None:
    with pytest.raises(UserError, match=r"train\.backend is 'unsloth', which needs an NVIDIA GPU"):
        backends.get_backend(train_params.model_copy(update={"backend": "unsloth"}), base_folder)


def test_deepspeed_is_refused(base_folder: Path, train_params: TrainParams, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    with pytest.raises(UserError, match=r"set up for DeepSpeed, .*: choose plain multi-GPU or FSDP"):
        backends.get_backend(train_params, base_folder)


@pytest.fixture
def fsdp(monkeypatch: pytest.MonkeyPatch) -> None:
    """What accelerate leaves in the environment of two processes over which it shards the model."""
    for name, value in {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)


SHARDED = {"launcher": "accelerate launch --use_fsdp --fsdp_version 2 --num_processes 2 -m"}


@on_a_cpu
def test_a_model_is_not_sharded_without_gpus(base_folder: Path, train_params: TrainParams, fsdp: None) -> None:
    message = r"which shards the model \(FSDP\), and that takes GPUs, and PyTorch sees none here: replace --use_fsdp by"
    with pytest.raises(UserError, match=message):
        backends.get_backend(train_params.model_copy(update=SHARDED), base_folder)


@pytest.mark.parametrize(
    ("given", "environment", "message"),
    [
        ({}, {"FSDP_VERSION": "1"}, "add --fsdp_version 2"),
        ({"optimizer": "adamw_8bit"}, {}, "train.optimizer is 'adamw_8bit', .*: set it to adamw_torch"),
        ({"compile": True}, {}, "set train.compile to false"),
        ({"rounds": 2, "lora_r": 5}, {}, r"set train.lora_r \(now 5\) to a multiple of 2"),
        ({}, {"FSDP_ACTIVATION_CHECKPOINTING": "true"}, "leave out --fsdp_activation_checkpointing"),
        ({}, {"FSDP_OFFLOAD_PARAMS": "true"}, "leave out --fsdp_offload_params"),
        ({}, {"FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT"}, "leave out --fsdp_state_dict_type"),
    ],
)
def test_a_model_that_cannot_be_sharded_is_refused(
    base_folder: Path,
    train_params: TrainParams,
    monkeypatch: pytest.MonkeyPatch,
    fsdp: None,
    given: dict[str, Any],
    environment: dict[str, str],
    message: str,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # nothing is loaded here
    assert backends.get_backend(train_params.model_copy(update=SHARDED | {"rounds": 2}), base_folder)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=message):
        backends.get_backend(train_params.model_copy(update=SHARDED | given), base_folder)


@pytest.mark.parametrize(("launcher", "count"), [("accelerate launch --num_processes 2 -m", "1"), ("python -m", "1")])
def test_as_many_processes_as_the_launcher_names(
    base_folder: Path, train_params: TrainParams, monkeypatch: pytest.MonkeyPatch, launcher: str, count: str
) -> None:
    monkeypatch.setenv("WORLD_SIZE", count)
    train = train_params.model_copy(update={"launcher": launcher})
    if launcher == "python -m":
        assert backends.get_backend(train, base_folder)
    else:
        with pytest.raises(UserError, match=r"--num_processes 2 -m', and there are 1 processes"):
            backends.get_backend(train, base_folder)


@pytest.fixture(scope="module")
def stored_in_4_bits(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base as a *-bnb-4bit repository has it: in NF4, quantised from bfloat16."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("bnb-4bit")
    settings = loading.nf4_config(torch.bfloat16)
    model = AutoModelForCausalLM.from_pretrained(base_folder, quantization_config=settings, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base_folder).save_pretrained(folder)
    return folder


def test_a_base_stored_in_4_bits_is_used_as_it_is(stored_in_4_bits: Path, train_params: TrainParams) -> None:
    model = load_trainable(stored_in_4_bits, train_params.model_copy(update={"four_bit": True}))
    loss = model(input_ids=TOKENS, labels=TOKENS).loss
    loss.backward()
    assert 5 < loss.item() < 12
    b_gradients = [weight.grad for name, weight in model.named_parameters() if "lora_B" in name]
    assert all(gradient is not None and gradient.abs().max() > 0 for gradient in b_gradients)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_a_base_stored_in_4_bits_is_refused_in_16(stored_in_4_bits: Path, train_params: TrainParams) -> None:
    message = r"train\.four_bit is false, and the base model is stored in 4 bits: set train\.four_bit to true"
    with pytest.raises(UserError, match=message):
        backends.get_backend(train_params.model_copy(update={"four_bit": False}), stored_in_4_bits)
    with pytest.raises(UserError, match=message):
        load_base(stored_in_4_bits, four_bit=False)


def test_a_base_stored_in_4_bits_is_not_sharded(
    stored_in_4_bits: Path, train_params: TrainParams, monkeypatch: pytest.MonkeyPatch, fsdp: None
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(
        UserError, match=r"a base stored in 4 bits would not be sharded: set base.repository to the model"
    ):
        backends.get_backend(train_params.model_copy(update=SHARDED | {"four_bit": True}), stored_in_4_bits)


def test_a_base_quantised_in_another_way_is_refused(tmp_path: Path, train_params: TrainParams) -> None:
    (tmp_path / "config.json").write_text('{"quantization_config": {"quant_method": "gptq", "bits": 4}}')
    with pytest.raises(UserError, match="quantised by gptq, which cannot be trained here"):
        backends.get_backend(train_params, tmp_path)


def bitsandbytes_products(base: Path) -> Any:
    """The base with its linear maps in bitsandbytes' own 4-bit layers, less the kernel that rounds to bfloat16."""
    from transformers import AutoModelForCausalLM

    settings = loading.nf4_config(torch.float32)
    model = AutoModelForCausalLM.from_pretrained(base, quantization_config=settings, dtype=torch.float32)
    for module in four_bit_layers(model):
        module.support_avx512bf16_for_cpu = False
    return model


def four_bit_layers(model: Any) -> list[Any]:
    return [module for module in model.modules() if hasattr(module, "support_avx512bf16_for_cpu")]


@on_a_cpu
@pytest.mark.parametrize("stored", [False, True])
def test_a_4_bit_base_computes_on_a_cpu_as_bitsandbytes_does(
    base_folder: Path, stored_in_4_bits: Path, train_params: TrainParams, monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    assert compute_dtype() == torch.float32
    base = stored_in_4_bits if stored else base_folder
    train = train_params.model_copy(update={"four_bit": True})
    ours = gradients(load_trainable(base, train))
    if stored:  # what is stored has to be float32, or bitsandbytes rounds in its backward pass
        monkeypatch.setattr(loading, "dequantise", as_float32)
    else:
        monkeypatch.setattr(loading, "load_base", lambda *given, **named: bitsandbytes_products(base))
    theirs = gradients(load_trainable(base, train))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def as_float32(model: Any) -> Any:
    """A 4-bit model whose layers dequantise to float32."""
    for module in four_bit_layers(model):
        module.support_avx512bf16_for_cpu = False
        module.weight.quant_state.dtype = torch.float32
    return model


def gradients(model: Any, measured: bool = False) -> dict[str, Any]:
    """The adapter's gradients, after a forward pass in evaluation mode or without one."""
    seed_everything(1)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.05)
    if measured:
        with torch.no_grad():
            model.eval()(TOKENS)
    model.train()(input_ids=TOKENS, labels=TOKENS).loss.backward()
    return {name: weight.grad for name, weight in model.named_parameters() if weight.requires_grad}


@pytest.mark.parametrize("four_bit", [True, False])
def test_measuring_a_loss_changes_no_gradient(base_folder: Path, train_params: TrainParams, four_bit: bool) -> None:
    train = train_params.model_copy(update={"four_bit": four_bit})
    fresh, measured = (gradients(load_trainable(base_folder, train), measured) for measured in (False, True))
    assert [name for name in fresh if not torch.allclose(fresh[name], measured[name], rtol=1e-3, atol=1e-6)] == []


def test_an_adapter_of_another_base_is_refused(
    base_folder: Path, stored_in_4_bits: Path, chat_tokenizer: Any, train_params: TrainParams, tmp_path: Path
) -> None:
    save_adapter(load_trainable(base_folder, train_params), chat_tokenizer, describe_base(base_folder, False), tmp_path)
    assert load_adapted(base_folder, tmp_path, four_bit=False)
    with pytest.raises(UserError, match="was trained on another base model than the one in"):
        load_adapted(stored_in_4_bits, tmp_path, four_bit=True)
    os.remove(tmp_path / "base.json")
    with pytest.raises(UserError, match=r"base\.json is missing, and it names the base"):
        load_adapted(base_folder, tmp_path, four_bit=False)


@on_a_cpu
@pytest.mark.parametrize(("products", "embeddings"), [("bfloat16", "bfloat16"), ("float16", "float32")])
def test_only_where_products_overflow_the_rest_of_a_4_bit_base_is_in_32_bits(
    base_folder: Path, train_params: TrainParams, monkeypatch: pytest.MonkeyPatch, products: str, embeddings: str
) -> None:
    monkeypatch.setattr(loading, "compute_dtype", lambda: getattr(torch, products))
    model = load_trainable(base_folder, train_params.model_copy(update={"four_bit": True}))
    assert model.get_input_embeddings().weight.dtype == getattr(torch, embeddings)
    assert {name for name, weight in model.named_parameters() if weight.requires_grad} == {
        name for name, _ in model.named_parameters() if "lora_" in name
    }


@pytest.mark.parametrize("four_bit", [True, False])
def test_checkpointing_changes_no_gradient(base_folder: Path, train_params: TrainParams, four_bit: bool) -> None:
    found = []
    for checkpointing in (True, "alternate", False):
        seed_everything(1)
        train = train_params.model_copy(update={"four_bit": four_bit, "gradient_checkpointing": checkpointing})
        model = load_trainable(base_folder, train)
        if checkpointing is True:
            model.gradient_checkpointing_enable()  # as the Trainer does
        found.append(gradients(model))
    *saved, plain = found
    assert all(one.keys() == plain.keys() for one in saved)
    assert all(torch.equal(one[name], plain[name]) for one in saved for name in plain)


def test_every_second_layer_is_computed_again(base_folder: Path, train_params: TrainParams) -> None:
    model: Any = load_trainable(base_folder, train_params.model_copy(update={"gradient_checkpointing": "alternate"}))
    layers = model.get_base_model().model.layers
    assert [layer.gradient_checkpointing for layer in layers] == [bool(place % 2) for place in range(len(layers))]
