"""What could not be exported is refused before training, and what can be is not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GPT2Config, LlamaConfig, PhiConfig

from src.errors import UserError
from src.export import early_checks
from src.export.early_checks import check_modelfile, check_vocabulary
from src.params import AuditParams, BaseParams, Params
from src.prompts.tokenizer_files import read_tokenizer
from src.prompts.tokenizers import load_tokenizer
from src.stages import audit, base
from tests.conftest import FORMAT
from tests.tiny_bases import FAMILIES, SHAPE, TITLES, write_model, write_qwen2_tokenizer


def unknown_split(folder: Path, base_folder: Path) -> None:
    """Qwen2's tokenizer, but for the digits that it takes together."""
    write_qwen2_tokenizer(folder, base_folder)
    path = folder / "tokenizer.json"
    path.write_text(path.read_text().replace(r"\\p{N}|", r"\\p{N}{1,2}|"))


def unigram(folder: Path, base_folder: Path) -> None:
    """A tokenizer without merges, as T5's and XLNet's are, that falls back on bytes as SentencePiece's do."""
    write_qwen2_tokenizer(folder, base_folder)
    texts = ["<unk>", "<|im_end|>", "<|endoftext|>", "▁", "a", "▁lamp", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokenizer = Tokenizer(models.Unigram([(text, -float(at)) for at, text in enumerate(texts)], 0, byte_fallback=True))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    tokenizer.save(str(folder / "tokenizer.json"))


def words(folder: Path, base_folder: Path) -> None:
    """A tokenizer of whole words."""
    write_qwen2_tokenizer(folder, base_folder)
    names = {text: at for at, text in enumerate(["<unk>", "<|im_end|>", "<|endoftext|>", "lamp"])}
    tokenizer = Tokenizer(models.WordLevel(names, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_families_that_are_known_pass(family_base: Callable[[str], Path], family: str, template: Any) -> None:
    folder = family_base(family)
    check_vocabulary(folder, read_tokenizer(folder))
    check_modelfile(load_tokenizer(folder, template), FORMAT.model_copy(update={"template": template}), TITLES)


def test_a_known_split_needs_no_converter(base_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(early_checks, "converter_class")
    check_vocabulary(base_folder, read_tokenizer(base_folder))


@pytest.mark.parametrize("write", [unknown_split, unigram, words])
def test_a_tokenizer_that_llama_cpp_does_not_know_is_refused(write: Any, base_folder: Path, tmp_path: Path) -> None:
    write(tmp_path, base_folder)
    (tmp_path / "config.json").write_text(json.dumps(LlamaConfig(**SHAPE, vocab_size=2048).to_dict() | LLAMA))
    with pytest.raises(UserError, match=r"llama\.cpp's converter .* a tokenizer of Llama, Llama 3, Qwen2 or Mistral"):
        check_vocabulary(tmp_path, read_tokenizer(tmp_path))


LLAMA = {"architectures": ["LlamaForCausalLM"]}


def test_a_base_stored_in_4_bits_is_asked_for_its_vocabulary_alone(
    family_base: Callable[[str], Path], tmp_path: Path
) -> None:
    """Without weights, and whatever they are packed in."""
    folder = family_base("llama")
    config = json.loads((folder / "config.json").read_text()) | {"quantization_config": {"quant_method": "other"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    check_vocabulary(tmp_path, read_tokenizer(folder))


@pytest.mark.parametrize(
    "content",
    ["message['content'] | upper", "message['content'][:12]", "message['content'] | length | string"],
)
def test_a_template_that_changes_a_turn_is_refused(chat_tokenizer: Any, content: str) -> None:
    before = chat_tokenizer.chat_template
    chat_tokenizer.chat_template = (
        "{% for message in messages %}{{ '[' + message['role'] + ']' + " + content + " }}{% endfor %}"
    )
    try:
        with pytest.raises(UserError, match=r"would make Ollama ask .* where training sees .* alpaca or plain"):
            check_modelfile(chat_tokenizer, FORMAT, TITLES)
    finally:
        chat_tokenizer.chat_template = before


def shouting(folder: Path, base_folder: Path) -> None:
    """Qwen2's tokenizer, with a chat template that changes the text of a turn."""
    write_qwen2_tokenizer(folder, base_folder)
    path = folder / "tokenizer_config.json"
    path.write_text(path.read_text().replace("message['content'] +", "message['content'] | upper +"))


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (unknown_split, r"splits text in a way that llama\.cpp's converter does not know"),
        (shouting, r"a Modelfile would make Ollama ask .* where training sees"),
    ],
)
def test_the_audit_refuses_before_training(
    project: Path,
    base_folder: Path,
    record: Any,
    train_params: Any,
    write: Callable[[Path, Path], None],
    sentence: str,
) -> None:
    folder = project / "models/base"
    write(folder, base_folder)
    write_model(folder, LlamaConfig(**SHAPE, vocab_size=2048))
    rows = [json.dumps(record("chat", f"Lamp {number}", "Brass.")) for number in range(3)]
    for split in ("train", "validation", "test"):
        path = Path(f"data/prompts/{split}.jsonl")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(rows) + "\n")
    params = Params.model_construct(audit=AuditParams(max_truncated_share=0.0), format=FORMAT, train=train_params)
    with pytest.raises(UserError, match=sentence):
        audit.main(params)
    assert not Path("data/training_plan.json").exists()  # which training needs


@pytest.mark.parametrize(
    "config",
    [
        PhiConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, vocab_size=2048),
        GPT2Config(n_embd=32, n_layer=1, n_head=2, vocab_size=2048),
    ],
    ids=lambda config: config.model_type,
)
def test_another_architecture_is_refused_by_the_base_stage(
    project: Path, base_folder: Path, config: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "given"
    write_qwen2_tokenizer(folder, base_folder)
    write_model(folder, config)
    params = BaseParams(source="local", repository="-", revision="-", folder=str(folder))
    with pytest.raises(UserError, match=r"the base model is a (Phi|GPT2).*, whose .* merging and GGUF have not been"):
        base.main(Params.model_construct(base=params))
    assert not Path("models/base").exists()
