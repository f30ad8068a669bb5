"""Base models of other families than the tiny one's, with random weights: the tests' stand-ins for published models.

Covers tokenizers, chat templates and shapes as those models have them, small. The chat templates are written from what
is known of TinyLlama-Chat and Qwen2.5-Instruct, not copied.
"""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from src import numerics
from src.export.vocabulary import QWEN_2_SPLIT
from src.files import write_json
from src.prompts.llama_3 import LLAMA_3_SPLIT

# After which texts a SentencePiece tokenizer puts a space: as the makers of Llama 2 and TinyLlama wrote it, after every
# special token; as transformers 5 writes it, after none but at the very start.
Spaces = Literal["prepend", "first"]

# What tokenizers and templates may take for something else.
TITLES = [
    *(
        "Waffle Iron",
        "Kerr's Brass Lamp, 3 é 日",
        "  two  spaces ",
        "<b> Owls",
        "Ünï é 日本 7",
        "a\nb\n\nc",
        "tab\there",
    ),
    *(
        "{title}",
        "x" * 70,
        "1234567.89 cm",
        "😀 zwj 👩‍👩‍👧",
        "\u00a0wide\u00a0space\u3000",
        "\u200bzero width",
        "“quotes” – dash",
    ),
    *(
        "[INST] x [/INST]",
        "<|user|>",
        "5 < 6 & 7 > 3",
        "CAFÉ",
        "",
        "ﬁ ligature",
        "a\r\n crlf",
        "end   ",
        "don't 'LL 12",
    ),
]

ZEPHYR = """\
{% for message in messages %}
{{ '<|' + message['role'] + '|>\\n' + message['content'] + eos_token }}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}"""
CHATML = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
SHAPE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "initializer_range": 0.05,
}
PIECES = 512
WINDOW = 256  # tokens of the sliding window, where there is one


def corpus() -> list[str]:
    """Texts to train tokenizers on."""
    from src.synthetic.catalogue import generate_products

    return [f"{product.title} {product.content}" for product in generate_products(seed=5, count=200)]


def sentencepiece_llama(folder: Path, spaces: Spaces = "prepend", legacy: bool = False) -> Path:
    """A Llama with a SentencePiece tokenizer and TinyLlama's chat template."""
    from transformers import LlamaConfig

    write_sentencepiece(folder, spaces, legacy)
    return write_model(folder, LlamaConfig(**SHAPE, vocab_size=PIECES + 1))


def mistral(folder: Path, sliding_window: int | None = None) -> Path:
    """A Mistral, which may attend within a window alone."""
    from transformers import MistralConfig

    write_sentencepiece(folder, "prepend", legacy=True)
    return write_model(folder, MistralConfig(**SHAPE, vocab_size=PIECES + 1, sliding_window=sliding_window))


def qwen2(folder: Path, base_folder: Path) -> Path:
    """A Qwen2 with biases in its attention and one matrix for its embeddings and its output.

    Args:
        folder: where to.
        base_folder: the tiny base, whose byte-level vocabulary it takes.
    """
    from transformers import Qwen2Config

    vocabulary = write_qwen2_tokenizer(folder, base_folder)
    return write_model(folder, Qwen2Config(**SHAPE, vocab_size=vocabulary, tie_word_embeddings=True))


def write_model(folder: Path, config: Any) -> Path:
    """Random weights of a configuration, biases too, beside a tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM

    numerics.seed_everything(5)
    model = AutoModelForCausalLM.from_config(config)
    for name, weight in model.named_parameters():
        if name.endswith("bias"):  # they start from zero, which would not show
            torch.nn.init.normal_(weight, std=0.5)
    model.save_pretrained(folder)
    return folder


def write_sentencepiece(folder: Path, spaces: Spaces, legacy: bool) -> None:
    """tokenizer.model, and the files that transformers makes of it, as TinyLlama-Chat has them.

    Args:
        folder: where to.
        spaces: where spaces are put.
        legacy: what tokenizer_config.json tells of that; transformers' class for Llama goes by it.
    """
    from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

    folder.mkdir(parents=True, exist_ok=True)
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()),
        model_writer=model,
        vocab_size=PIECES,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        minloglevel=2,
    )
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    pieces = SentencePieceProcessor(model_proto=model.getvalue())
    bpe_of_pieces(pieces, spaces).save(str(folder / "tokenizer.json"))
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "</s>"}
    settings = {"add_bos_token": True, "tokenizer_class": "LlamaTokenizer", "legacy": legacy, "chat_template": ZEPHYR}
    write_json(folder / "tokenizer_config.json", special | settings)


def bpe_of_pieces(pieces: Any, spaces: Spaces) -> Any:
    """A SentencePiece model as transformers' tokenizers have it: merges in the order of the scores."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

    scores = {pieces.id_to_piece(number): pieces.get_score(number) for number in range(3 + 256, PIECES)}
    merges = sorted(
        (-scores[piece], (piece[:at], piece[at:]))
        for piece in scores
        for at in range(1, len(piece))
        if piece[:at] in scores and piece[at:] in scores
    )
    vocabulary = {pieces.id_to_piece(number): number for number in range(PIECES)}
    model = models.BPE(vocabulary, [pair for _, pair in merges], unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    tokenizer = Tokenizer(model)
    if spaces == "prepend":
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="first", split=False)
    strip = decoders.Strip(" ", 1, 0)
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), strip])
    special = ["<unk>", "<s>", "</s>", "<|padding|>"]  # the last one is in no tokenizer.model
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return tokenizer


def write_qwen2_tokenizer(folder: Path, base_folder: Path) -> int:
    """The tiny base's vocabulary, split as Qwen2 does, without a begin token; gives its size.

    Args:
        folder: where to.
        base_folder: the tiny base.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = (base_folder / "tokenizer.json").read_text(encoding="utf-8")
    names = {"<|begin_of_text|>": "<|endoftext|>", "<|start_header_id|>": "<|im_start|>", "<|eot_id|>": "<|im_end|>"}
    for ours, theirs in names.items():
        text = text.replace(ours, theirs)
    steps = json.loads(text.replace(json.dumps(LLAMA_3_SPLIT)[1:-1], json.dumps(QWEN_2_SPLIT)[1:-1]))
    steps["normalizer"], steps["post_processor"] = {"type": "NFC"}, None
    steps["model"]["ignore_merges"] = False
    write_json(folder / "tokenizer.json", steps)
    settings = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "tokenizer_class": "Qwen2Tokenizer"}
    write_json(folder / "tokenizer_config.json", settings | {"chat_template": CHATML})
    return len(steps["model"]["vocab"])


FAMILIES: dict[str, Callable[[Path, Path], Path]] = {
    "llama": lambda folder, _: sentencepiece_llama(folder),
    "llama saved by transformers": lambda folder, _: sentencepiece_llama(folder, "first"),
    "mistral": lambda folder, _: mistral(folder),
    "mistral with a window": lambda folder, _: mistral(folder, sliding_window=WINDOW),
    "qwen2": qwen2,
}
