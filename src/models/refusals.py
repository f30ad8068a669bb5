"""What cannot be trained or loaded here: each function either does nothing or tells what to change.

Covers launchers, sharding, precision, kernels and files of a base model. Nothing here changes a result, so no stage of
dvc.yaml reruns when it does.
"""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from src.errors import UserError
from src.files import read_json
from src.models import processes, varlen
from src.models.adapter import BASE_FILE, weights_digest
from src.params import TrainParams

# Tried from end to end: packed rows, the adapter's layers, the memory estimate, merging, llama.cpp's answers.
ARCHITECTURES = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM")


def refuse_launcher(train: TrainParams) -> None:
    """Refuses DeepSpeed, and other processes than train.launcher names.

    Raises:
        UserError: with what to change.
    """
    if os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true":
        raise UserError(
            f"train.launcher is {train.launcher!r}, and accelerate is set up for DeepSpeed, which this project has not "
            "been tried with: choose plain multi-GPU or FSDP in `accelerate config`."
        )
    if processes.world_size() != processes.launcher_world_size(train.launcher):
        raise UserError(
            f"train.launcher is {train.launcher!r}, and there are {processes.world_size()} processes: start training "
            "by `dvc repro`; on a machine without several GPUs, add --multi_gpu to accelerate's options."
        )


def refuse_sharding(train: TrainParams, stored_in_4_bits: bool) -> None:
    """Refuses what is not known to train where accelerate shards the model over the processes (FSDP).

    Args:
        train: the parameters of training.
        stored_in_4_bits: whether the base model's files are quantised.

    Raises:
        UserError: naming the first obstacle, and what to change.
    """
    if obstacle := next(sharding_obstacles(train, stored_in_4_bits), None):
        raise UserError(f"train.launcher is {train.launcher!r}, which shards the model (FSDP), and {obstacle}.")


def sharding_obstacles(train: TrainParams, stored_in_4_bits: bool) -> Iterator[str]:
    """What keeps a sharded model from being trained, each with what to change.

    Args:
        train: the parameters of training.
        stored_in_4_bits: whether the base model's files are quantised.
    """
    import torch

    given, count = os.environ.get, processes.world_size()
    # On a CPU accelerate leaves the distributed type at MULTI_CPU (1.15, state.py, AcceleratorState.__init__), gives
    # no warning, and trains copies.
    if not torch.cuda.is_available():
        yield "that takes GPUs, and PyTorch sees none here: replace --use_fsdp by --multi_gpu"
    if given("FSDP_VERSION") != "2":
        yield "its first version is not supported here: add --fsdp_version 2"
    # 4-bit weights are sharded where they are stored as floats, as nf4_config has it; those stored in bytes are not.
    if stored_in_4_bits:
        yield (
            "a base stored in 4 bits would not be sharded: set base.repository to the model it was quantised from, or "
            "replace --use_fsdp by --multi_gpu"
        )
    if train.optimizer != "adamw_torch":
        yield f"train.optimizer is {train.optimizer!r}, which cannot update a part: set it to adamw_torch"
    if train.compile:
        yield "a compiled model has not been tried: set train.compile to false"
    if train.rounds > 1 and train.lora_r % count > 0:
        yield f"train.rounds needs parts of equal size: set train.lora_r (now {train.lora_r}) to a multiple of {count}"
    if given("FSDP_ACTIVATION_CHECKPOINTING") == "true":
        yield (
            "the adapter's weights would have other names: leave out --fsdp_activation_checkpointing, and set "
            "train.gradient_checkpointing to true"
        )
    if given("FSDP_OFFLOAD_PARAMS") == "true":
        yield "weights that are kept off the GPU have not been tried: leave out --fsdp_offload_params"
    if given("FSDP_STATE_DICT_TYPE", "SHARDED_STATE_DICT") != "SHARDED_STATE_DICT":
        yield "each checkpoint would hold weights of the base: leave out --fsdp_state_dict_type"


def refuse_precision(stored: dict[str, Any] | None, four_bit: bool) -> None:
    """Refuses a base that is quantised otherwise than asked for.

    Args:
        stored: how the base is quantised as it is stored, if it is.
        four_bit: whether it is to be held in 4 bits.

    Raises:
        UserError: with what to change.
    """
    if stored and not stored.get("load_in_4bit"):
        raise UserError(
            f"the base model is quantised by {stored.get('quant_method')}, which cannot be trained here: take the "
            "unquantised model, or one whose name ends in bnb-4bit."
        )
    if stored and not four_bit:
        raise UserError(
            "train.four_bit is false, and the base model is stored in 4 bits: set train.four_bit to true, or "
            "base.repository to the model it was quantised from."
        )


def refuse_unsloth(train: TrainParams) -> None:
    """Refuses Unsloth without an NVIDIA GPU, where it is not installed, or in several processes.

    Raises:
        UserError: naming what is missing.
    """
    import torch

    if not torch.cuda.is_available():
        raise UserError(
            "train.backend is 'unsloth', which needs an NVIDIA GPU, and PyTorch sees none here: "
            "set train.backend to transformers, or run on a machine with a GPU."
        )
    if find_spec("unsloth") is None:
        raise UserError(
            "train.backend is 'unsloth', which is not installed: run `pip install -r requirements-gpu.txt`, "
            "or set train.backend to transformers."
        )
    if processes.world_size() > 1:
        raise UserError(
            f"train.launcher is {train.launcher!r}, which started {processes.world_size()} processes, and Unsloth "
            "trains in one: set it to python -m."
        )


def refuse_compile(on_gpu: bool) -> None:
    """Refuses train.compile on a CPU.

    Raises:
        UserError: with what to change.
    """
    if not on_gpu:
        raise UserError("train.compile is true, which needs an NVIDIA GPU, and there is none here: set it to false.")


def refuse_kernel(implementation: str, on_gpu: bool) -> None:
    """Refuses an attention kernel that is not here.

    Args:
        implementation: the kernel as train.attention names it.
        on_gpu: whether PyTorch sees an NVIDIA GPU.

    Raises:
        UserError: naming what is missing.
    """
    if implementation not in ("sdpa", "eager") and not on_gpu:
        raise UserError(
            f"train.attention is {implementation!r}, which trains on an NVIDIA GPU only, and PyTorch sees none here: "
            "set train.attention to auto or sdpa."
        )
    if implementation == varlen.NAME and not varlen.is_available():
        raise UserError(
            "train.attention is 'varlen', which PyTorch has from version 2.11 on, built with flash attention: "
            "set train.attention to auto."
        )
    if implementation == "flash_attention_2" and find_spec("flash_attn") is None:
        raise UserError(
            "train.attention is 'flash_attention_2', and the package flash-attn is not installed: "
            "install it, or set train.attention to auto."
        )


def refuse_other_base(base: Path, adapter: Path) -> None:
    """Refuses an adapter of another base: it would answer, and wrongly.

    Args:
        base: the base model's folder.
        adapter: the adapter's folder.

    Raises:
        UserError: if it was trained on another one, or nothing names the one.
    """
    note = adapter / BASE_FILE
    if not note.exists():
        raise UserError(f"{note} is missing, and it names the base that the adapter was trained on: run train again.")
    if read_json(note)["sha256"] != weights_digest(base):
        raise UserError(
            f"{adapter} was trained on another base model than the one in {base}: restore that base (`dvc checkout`), "
            "or run train again."
        )


def odd_token() -> UserError:
    """The hub's token holds a letter that is not ASCII, so that no request can be made with it."""
    return UserError(
        "the token of the hub holds characters that no token has, such as é: set HF_TOKEN again, or log in with "
        "`hf auth login`."
    )


def changed_model_file(path: Path, checksums: str) -> UserError:
    """The refusal of a model whose file is not the one that was published.

    Args:
        path: the file, which is missing or has another hash.
        checksums: the name of the file that holds the hashes.
    """
    return UserError(
        f"{path} is not the file that {path.parent / checksums} names: restore it (`git checkout {path.parent}`), or "
        f"set base.folder to the folder of another model."
    )


def refuse_incomplete_model(folder: Path) -> None:
    """Refuses a folder that lacks a file of a model.

    Raises:
        UserError: naming what is missing.
    """
    missing = [name for name in ("config.json", "tokenizer.json") if not (folder / name).is_file()]
    if not any(folder.glob("*.safetensors")):
        missing.append("*.safetensors")
    if missing:
        raise UserError(
            f"the base model lacks {', '.join(missing)}: point base.repository or base.folder at a model that is "
            "stored as safetensors with its tokenizer."
        )


def refuse_architecture(architecture: object) -> None:
    """Refuses a base model whose layers are not known here.

    Args:
        architecture: what config.json names first; None if it names none.

    Raises:
        UserError: with those that are known.
    """
    if architecture not in ARCHITECTURES:
        named = "names no architecture in config.json"
        if isinstance(architecture, str):
            named = f"is a {architecture}, whose attention over packed rows, merging and GGUF have not been tried here"
        raise UserError(
            f"the base model {named}: choose one of {', '.join(ARCHITECTURES)}; docs/extending.md tells how to add one."
        )


def broken_model_file(name: str, fault: str) -> UserError:
    """The refusal of a base model with a file that later stages could not use.

    Args:
        name: the file.
        fault: what is wrong with it, as the rest of a sentence.
    """
    return UserError(
        f"the base model's {name} {fault}: fetch the model anew, or point base.repository or base.folder at another."
    )


def other_weights(found: str) -> UserError:
    """The refusal of weights that belong to another config.json.

    Args:
        found: what the files hold, and what they should.
    """
    return UserError(
        f"the base model's weights hold {found}: these files are of two models; fetch them anew, or point "
        "base.repository or base.folder at another model."
    )


def model_with_code(name: str) -> UserError:
    """The refusal of a model that brings Python files of its own, which could do anything.

    Args:
        name: the file that names them.
    """
    return UserError(
        f"the base model's {name} names Python code of its own (auto_map), which is never run here: choose a model "
        "that transformers loads by itself."
    )
