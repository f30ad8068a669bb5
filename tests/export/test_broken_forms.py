"""A form that is broken on its way to the file is refused: template, stop token, weights, adapter, order of heads."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gguf
import pytest
import torch

from src.errors import UserError
from src.export import lora
from src.export.forms import ADAPTER_GGUF, BASE_GGUF, BY_NAME
from src.export.gguf import convert_to_gguf
from src.export.k_quants import write_q4_k_m
from src.export.lora import write_lora_gguf
from src.export.measuring import Original, Question, measure_gguf, measure_merged, measure_original
from src.export.merge import merge_adapter
from src.export.parity import check_losses
from src.files import read_json
from src.inference.engine import Sampling
from src.inference.transformers_engine import TransformersEngine
from src.models.adapter import save_adapter
from src.models.backends.transformers import load_trainable
from src.models.base_note import describe_base
from src.models.loading import load_adapted, load_base
from src.numerics import seed_everything
from src.params import load_params
from src.prompts.rendering import prompt_and_completion, prompt_turns
from src.prompts.tokenizer_files import save_tokenizer
from src.prompts.tokenizers import load_tokenizer
from src.synthetic.catalogue import generate_products

EMBEDDED = Path(__file__).parents[2] / "models/embedded"
INSTRUCTION, QUESTION = "Describe the product that has this title.", "{title}"
STOP = "<|stop|>"  # of no published model, so that llama.cpp knows it from the file's own word alone
GGUFS = ("f16", "q8_0", "q4_k_m")


class Exported(NamedTuple):
    """A model whose forms are as they should be."""

    base: Path
    adapter: Path
    folder: Path
    asked: Question
    original: Original
    merged: TransformersEngine


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The embedded base, its stop token under another name, with an adapter of random weights, in every form."""
    folder = tmp_path_factory.mktemp("exported")
    base, adapter = renamed_base(folder / "base"), folder / "adapter"
    tokenizer = load_tokenizer(base, "chat")
    save_random_adapter(base, adapter)
    write_forms(base, adapter, folder)
    records = [
        {"title": product.title}
        | prompt_and_completion("chat", prompt_turns(INSTRUCTION, QUESTION, product.title), product.content)
        for product in generate_products(seed=3, count=4)
    ]
    asked = Question(tokenizer, records, records, INSTRUCTION, QUESTION, Sampling(8), max_length=256)
    adapted = TransformersEngine(load_adapted(base, adapter, four_bit=False, exact=True), tokenizer, batch_size=4)
    merged = TransformersEngine(load_adapted(folder / "merged", None, False, exact=True), tokenizer, batch_size=4)
    return Exported(base, adapter, folder, asked, measure_original(adapted, asked), merged)


def renamed_base(folder: Path) -> Path:
    """The embedded base with another name of its stop token."""
    shutil.copytree(EMBEDDED, folder)
    for path in (*folder.glob("*.json"), *folder.glob("*.jinja")):
        path.write_text(path.read_text(encoding="utf-8").replace("<|eot_id|>", STOP), encoding="utf-8")
    return folder


def save_random_adapter(base: Path, folder: Path) -> None:
    """An adapter that changes the answers."""
    train = load_params().train.model_copy(update={"four_bit": False, "lora_r": 8, "lora_alpha": 16})
    seed_everything(1)
    model = load_trainable(base, train)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.2 if "q_proj" in name or "k_proj" in name else 0.02)
    folder.mkdir()
    save_adapter(model, load_tokenizer(base, "chat"), describe_base(base, False), folder)


def write_forms(base: Path, adapter: Path, folder: Path) -> None:
    """The merged model, and every GGUF."""
    tokenizer = load_tokenizer(adapter, "chat")
    merge_adapter(base, adapter, four_bit=False).save_pretrained(folder / "merged")
    load_base(base, four_bit=False, exact=True).half().save_pretrained(folder / "unmerged")
    for name in ("merged", "unmerged"):
        save_tokenizer(tokenizer, folder / name)
    for name in ("f16", "q8_0"):
        convert_to_gguf(folder / "merged", folder / BY_NAME[name].files[0], name, "tiny")
    f16, config = folder / "shelftalk-f16.gguf", read_json(folder / "merged/config.json")
    write_q4_k_m(f16, config, folder / "shelftalk-q4_k_m.gguf")
    convert_to_gguf(folder / "unmerged", folder / BASE_GGUF, "q8_0", "tiny")
    write_lora_gguf(adapter, base, folder / ADAPTER_GGUF)


@pytest.fixture
def measure(exported: Exported, tmp_path: Path) -> Callable[[str, Callable[[Path], None]], Any]:
    """Breaks a copy of a form's files, and measures it."""

    def measured(name: str, breaks: Callable[[Path], None]) -> Any:
        form = BY_NAME[name]
        for file in form.files:
            shutil.copyfile(exported.folder / file, tmp_path / file)
        breaks(tmp_path / form.files[0])
        return measure_gguf(form, tmp_path, exported.asked, exported.original, exported.merged)

    return measured


def field_of(path: Path, key: str) -> Any:
    """The bytes of a value in a GGUF, which can be written to."""
    field = gguf.GGUFReader(path, "r+").fields[key]
    return field.parts[field.data[0]]


def other_template(path: Path) -> None:
    """A chat template that names the roles otherwise."""
    value = field_of(path, "tokenizer.chat_template")
    text = bytes(value).replace(b"start_header", b"other_header")
    assert text != bytes(value)
    value[:] = memoryview(text)


def other_stop(path: Path) -> None:
    """A stop token that training did not end answers by."""
    field_of(path, "tokenizer.ggml.eos_token_id")[0] = 9


def swapped_layers(path: Path) -> None:
    """The weights of one layer in the place of another's."""
    reader = gguf.GGUFReader(path, "r+")
    tensors = {tensor.name: tensor.data for tensor in reader.tensors}
    one, other = (tensors[f"blk.{layer}.ffn_down.weight"] for layer in (0, 1))
    held = one.copy()
    one[:] = other
    other[:] = held


BREAKS: dict[Callable[[Path], None], str] = {
    other_template: "renders the prompt",
    other_stop: "does not end an answer at the token that training ended them by",
    swapped_layers: "finds the references .* nats a token (less|more) likely than the adapter does",
}


@pytest.mark.parametrize("name", [*GGUFS, "lora"])
def test_a_form_as_it_was_written_passes(measure: Any, name: str) -> None:
    measured = measure(name, lambda path: None)
    assert measured.agreement >= (0.0 if name == "q4_k_m" else 0.5)
    assert measured.speed.memory_mb > 0


@pytest.mark.parametrize("breaks", BREAKS, ids=[breaks.__name__ for breaks in BREAKS])
@pytest.mark.parametrize("name", [*GGUFS, "lora"])
def test_a_broken_form_is_refused(measure: Any, name: str, breaks: Callable[[Path], None]) -> None:
    with pytest.raises(UserError, match=BREAKS[breaks]):
        measure(name, breaks)


def test_a_merged_model_without_its_adapter_is_refused(exported: Exported) -> None:
    unmerged = load_adapted(exported.folder / "unmerged", None, four_bit=False, exact=True)
    engine = TransformersEngine(unmerged, exported.asked.tokenizer, batch_size=4)
    losses = measure_merged(engine, exported.asked, exported.original, 0).losses
    with pytest.raises(UserError, match="the merged model finds an answer"):
        check_losses("the merged model", losses, exported.original.losses)


@pytest.mark.parametrize("name", GGUFS)
def test_a_gguf_without_the_adapter_is_refused(exported: Exported, measure: Any, name: str) -> None:
    def unmerged(path: Path) -> None:
        f16 = path.with_name("unmerged.gguf")
        convert_to_gguf(exported.folder / "unmerged", f16, "f16" if name == "q4_k_m" else name, "tiny")
        if name == "q4_k_m":
            write_q4_k_m(f16, read_json(exported.folder / "unmerged/config.json"), path)
        else:
            f16.replace(path)

    with pytest.raises(UserError, match=r"nats a token (less|more) likely|answers check prompt"):
        measure(name, unmerged)


def test_an_adapter_whose_heads_are_in_another_order_is_refused(
    exported: Exported, measure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lora, "rotate_heads", lambda weight, heads: weight)

    def unordered(path: Path) -> None:
        write_lora_gguf(exported.adapter, exported.base, path.with_name(ADAPTER_GGUF))

    with pytest.raises(UserError, match=r"shelftalk-lora\.gguf (finds the references|answers check prompt)"):
        measure("lora", unordered)
