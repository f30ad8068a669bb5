"""Faults of a base model's files: the base stage names file, fault and remedy, and the last base stays."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from src.models.base_checks import check_model
from tests.faults.table import Fault, contents, each_fault, refusal, run_command, set_param

MODEL = Path("model")
CONFIG, TOKENIZER, SETTINGS = "config.json", "tokenizer.json", "tokenizer_config.json"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
REMEDY = "fetch the model anew, or point base.repository or base.folder at another"
TWO_MODELS = "these files are of two models; fetch them anew"


def put(name: str, content: bytes | str) -> Callable[[], object]:
    """Writes a file of the model."""
    return lambda: replace(name, content if isinstance(content, bytes) else content.encode())


def replace(name: str, content: bytes) -> None:
    """A new file in place of one that other projects may link to."""
    (MODEL / name).unlink(missing_ok=True)
    (MODEL / name).write_bytes(content)


def cut(name: str, share: float) -> Callable[[], object]:
    """Cuts a file off after a share of its bytes."""
    return lambda: replace(name, (MODEL / name).read_bytes()[: int((MODEL / name).stat().st_size * share)])


def remove(name: str) -> Callable[[], object]:
    """Removes a file of the model."""
    return lambda: (MODEL / name).unlink()


def make_folder(name: str) -> None:
    """Puts a folder in place of a file of the model."""
    (MODEL / name).unlink()
    (MODEL / name).mkdir()


def change(name: str, **values: Any) -> Callable[[], object]:
    """Sets keys of a JSON file."""
    return lambda: replace(name, json.dumps(json.loads((MODEL / name).read_text()) | values).encode())


def without(name: str, key: str) -> Callable[[], object]:
    """Removes a key of a JSON file."""

    def breaks() -> None:
        values = json.loads((MODEL / name).read_text())
        del values[key]
        replace(name, json.dumps(values).encode())

    return breaks


def weights(alter: Callable[[dict[str, Any]], object]) -> Callable[[], object]:
    """Writes the weights again after a change."""

    def breaks() -> None:
        from safetensors.torch import load_file, save_file

        tensors = load_file(MODEL / WEIGHTS)
        alter(tensors)
        (MODEL / WEIGHTS).unlink()
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, MODEL / WEIGHTS)

    return breaks


def drop_layer(tensors: dict[str, Any], layer: int) -> None:
    """Removes all weights of a layer."""
    for name in [name for name in tensors if f".layers.{layer}." in name]:
        del tensors[name]


def halve(tensors: dict[str, Any]) -> None:
    """Makes a weight of half its height."""
    name = "model.layers.0.mlp.up_proj.weight"
    tensors[name] = tensors[name][: len(tensors[name]) // 2]


def shard(places: object) -> Callable[[], object]:
    """Renames the weights' file, and writes an index."""

    def breaks() -> None:
        os.rename(MODEL / WEIGHTS, MODEL / "model-00001-of-00001.safetensors")
        replace(INDEX, json.dumps({"weight_map": places}).encode())

    return breaks


FAULTS = [
    *(Fault(f"no-{name}", remove(name), f"the base model lacks {name}") for name in (CONFIG, TOKENIZER)),
    Fault("no-weights", remove(WEIGHTS), "the base model lacks *.safetensors"),
    *(
        Fault(f"{name}-{kind}", put(name, content), f"the base model's {name} {fault}")
        for name in (CONFIG, TOKENIZER, SETTINGS, "generation_config.json")
        for kind, content, fault in (
            ("empty", b"", "cannot be read as JSON"),
            ("no-json", b"{architectures: LlamaForCausalLM}", "cannot be read as JSON (Expecting"),
            ("latin-1", b'{"architectures": ["caf\xe9"]}', "cannot be read as JSON ('utf-8' codec"),
            ("list", b"[]", "is not a JSON object"),
            ("deep", b"[" * 100_000, "cannot be read as JSON (maximum recursion depth"),
        )
    ),
    Fault("config-cut", cut(CONFIG, 0.5), "config.json cannot be read as JSON (Unterminated"),
    Fault("tokenizer-cut", cut(TOKENIZER, 0.5), "tokenizer.json cannot be read as JSON"),
    Fault(
        "architecture-other",
        change(CONFIG, architectures=["GPT2LMHeadModel"]),
        "is a GPT2LMHeadModel, whose attention over packed rows, merging and GGUF have not been tried here: choose one",
    ),
    *(
        Fault(f"architectures-{kind}", change(CONFIG, architectures=value), "names no architecture in config.json")
        for kind, value in (("empty", []), ("null", None), ("number", 5), ("nested", [["LlamaForCausalLM"]]))
    ),
    Fault("architectures-missing", without(CONFIG, "architectures"), "names no architecture in config.json"),
    *(
        Fault(f"no-{key}", without(CONFIG, key), f"config.json lacks {key}: {REMEDY}")
        for key in ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "vocab_size")
    ),
    *(
        Fault(f"{key}-{value!r}", change(CONFIG, **{key: value}), f"config.json has {key} {value!r}, which has to be")
        for key, value in (
            ("hidden_size", "256"),
            ("vocab_size", None),
            ("num_hidden_layers", 0),
            ("num_attention_heads", -4),
            ("max_position_embeddings", 2048.5),
            ("intermediate_size", True),
        )
    ),
    *(
        Fault(f"quantisation-{kind}", change(CONFIG, quantization_config=value), "has quantization_config")
        for kind, value in (("text", "nf4"), ("list", ["nf4"]), ("number", 4))
    ),
    Fault("model-type-unknown", change(CONFIG, model_type="lama"), "config.json describes no model that transformers"),
    Fault("model-type-missing", without(CONFIG, "model_type"), "config.json describes no model that transformers"),
    Fault("activation-unknown", change(CONFIG, hidden_act="silo"), "config.json describes no model that transformers"),
    Fault(
        "rope-unknown",
        change(CONFIG, rope_parameters={"rope_type": "spiral", "rope_theta": 1e4}),
        "config.json describes no model that transformers",
    ),
    Fault("no-key-heads", change(CONFIG, num_key_value_heads=0), "config.json describes no model"),
    Fault("code-in-config", change(CONFIG, auto_map={"AutoConfig": "code.Config"}), "names Python code of its own"),
    Fault(
        "code-of-unknown-type",
        change(CONFIG, model_type="own", auto_map={"AutoConfig": "code.Config"}),
        "config.json names Python code of its own (auto_map), which is never run here",
    ),
    Fault(
        "code-in-tokenizer",
        change(SETTINGS, auto_map={"AutoTokenizer": ["code.Tokenizer", None]}),
        "tokenizer_config.json names Python code of its own (auto_map), which is never run here",
    ),
    Fault("weights-empty", put(WEIGHTS, b""), "model.safetensors is no complete safetensors file"),
    Fault("weights-cut", cut(WEIGHTS, 0.9), "model.safetensors is no complete safetensors file"),
    Fault("weights-header-cut", cut(WEIGHTS, 0.0001), "model.safetensors is no complete safetensors file"),
    Fault("weights-pickle", put(WEIGHTS, pickle.dumps({"a": [1.0] * 99})), "is no complete safetensors file"),
    Fault("weights-page", put(WEIGHTS, "<!doctype html><title>404</title>"), "is no complete safetensors file"),
    Fault(
        "weights-folder",
        lambda: make_folder(WEIGHTS),
        "model.safetensors: Is a directory.",
    ),
    Fault("layer-missing", weights(lambda all: drop_layer(all, 2)), "hold 2 layers, and config.json has"),
    Fault("first-layer-missing", weights(lambda all: drop_layer(all, 0)), "hold 2 layers, and config.json has"),
    Fault("more-layers", change(CONFIG, num_hidden_layers=30), "hold 3 layers, and config.json has num_hidden_la"),
    Fault("fewer-layers", change(CONFIG, num_hidden_layers=1), "hold 3 layers, and config.json has num_hidden_la"),
    Fault("endless-layers", change(CONFIG, num_hidden_layers=10**12), "hold 3 layers, and config.json has"),
    Fault("weight-missing", weights(lambda all: all.pop("model.norm.weight")), "no weight model.norm.weight (1 of"),
    Fault("weight-halved", weights(halve), "up_proj.weight of shape [384, 256], and config.json makes it [768, 256]"),
    Fault("hidden-size-other", change(CONFIG, hidden_size=512), "and config.json makes it"),
    Fault("vocabulary-other", change(CONFIG, vocab_size=4096), "shape [2048, 256], and config.json makes it [409"),
    Fault("heads-other", change(CONFIG, num_attention_heads=8), TWO_MODELS),
    Fault("output-layer-missing", change(CONFIG, tie_word_embeddings=False), "no weight lm_head.weight (1 of"),
    Fault("shard-missing", shard({"model.norm.weight": "model-00002-of-00002.safetensors"}), "is missing, and model."),
    Fault("shard-elsewhere", shard({"model.norm.weight": "../model.safetensors"}), "is missing, and model."),
    Fault("index-empty", shard({}), f"{INDEX} names no weights"),
    Fault("index-list", shard(["model-00001-of-00001.safetensors"]), f"{INDEX} names no weights"),
    Fault("weights-renamed", lambda: os.rename(MODEL / WEIGHTS, MODEL / "other.safetensors"), f"{WEIGHTS} is missing"),
    Fault("tokenizer-other-json", put(TOKENIZER, "{}"), "tokenizer.json cannot be loaded as a tokenizer"),
    Fault("tokenizer-no-model", change(TOKENIZER, model=None), "tokenizer.json cannot be loaded as a tokenizer"),
    Fault("tokenizer-version", change(TOKENIZER, version="9.9"), "tokenizer.json cannot be loaded as a tokenizer"),
    Fault("template-latin-1", put("chat_template.jinja", b"caf\xe9"), "chat_template.jinja cannot be read as text"),
]


@pytest.fixture
def broken_project(project: Path, base_folder: Path) -> Path:
    """A project with a base model to break, and a last good base."""
    shutil.copytree(base_folder, MODEL, copy_function=os.link)
    shutil.copytree(base_folder, "models/base", copy_function=os.link)
    set_param("base.folder", "model")
    return project


@each_fault(FAULTS)
def test_a_broken_base_model_is_one_sentence(
    fault: Fault, broken_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents("models")
    fault.breaks()
    said = refusal("base", monkeypatch)
    assert said.startswith("base: ")
    assert fault.sentence in said
    assert len(said.splitlines()) == 1
    assert "trust_remote_code" not in said
    assert contents("models") == before


def test_a_tokenizer_with_more_tokens_than_the_embedding_is_refused(
    broken_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    tokenizer.add_tokens(["<|more|>"])
    (MODEL / TOKENIZER).unlink()
    tokenizer.save_pretrained(MODEL)
    assert "tokenizer.json has token ids up to 2048, and config.json has vocab_size 2048" in refusal(
        "base", monkeypatch
    )


def test_a_model_that_is_whole_replaces_the_last_one(broken_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change("generation_config.json", temperature=0.5)()
    run_command("base", monkeypatch)
    assert contents("models/base") == {f"models/base/{p.name}": p.read_bytes() for p in MODEL.iterdir()}


def test_a_model_in_several_files_is_whole(broken_project: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(MODEL / WEIGHTS)
    (MODEL / WEIGHTS).unlink()
    places = {name: f"model-0000{1 + at % 2}-of-00002.safetensors" for at, name in enumerate(tensors)}
    for file in set(places.values()):
        save_file({name: tensors[name] for name in tensors if places[name] == file}, MODEL / file)
    replace(INDEX, json.dumps({"weight_map": places}).encode())
    check_model(MODEL)


def test_weights_that_are_packed_in_4_bits_have_other_shapes(broken_project: Path) -> None:
    weights(halve)()
    change(CONFIG, quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})()
    check_model(MODEL)
