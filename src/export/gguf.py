"""GGUF files: written by llama.cpp's converter, and asked by llama.cpp itself.

Covers conversion of a merged Llama from safetensors, and chat answers in the process. The converter is the one that
auto-round carries; llama.cpp is xllamacpp's. Neither needs a compiler or a network.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

from src.errors import UserError
from src.files import read_json

FILE_TYPES = {"f16": "MOSTLY_F16", "q8_0": "MOSTLY_Q8_0"}
CONTEXT = 2048  # tokens a check needs at most, prompt and answer


class LlamaAnswer(NamedTuple):
    """What llama.cpp made of a conversation."""

    prompt: str
    """The text that the GGUF's own chat template rendered, without the begin-of-text token."""
    tokens: list[int]
    """The answer's tokens, without the one it stopped at."""


# Llama 3's split expression (the `pre_tokenizer` of its tokenizer.json), which llama.cpp calls llama-bpe.
LLAMA_3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def convert_to_gguf(model: Path, target: Path, precision: str, name: str) -> None:
    """Writes the model in a folder as a GGUF of a precision named in FILE_TYPES.

    Raises:
        UserError: if llama.cpp's converter does not know the model's architecture.
    """
    import gguf

    file_type = gguf.LlamaFileType[FILE_TYPES[precision]]
    converter_class(model)(model, file_type, target, model_name=name).write()


def converter_class(model: Path) -> Any:
    """llama.cpp's converter class for the architecture of the model in a folder.

    Its table of tokenizers lacks those trained here; one with exactly Llama 3's split expression is named for it.
    """
    import logging

    from auto_round.export.export_to_gguf.llama_cpp_conversion import get_conversion

    architecture = read_json(model / "config.json")["architectures"][0]
    try:
        known = get_conversion(model).get_model_class(architecture)
    except NotImplementedError:
        raise UserError(
            f"the base model is a {architecture}, which llama.cpp's converter does not know: "
            "choose a base of the Llama family."
        ) from None
    # The first two write a line for each tensor; auto_round repeats warnings of transformers whose logger is silenced.
    for talkative in ("hf-to-gguf", "gguf.gguf_writer", "autoround"):
        logging.getLogger(talkative).setLevel(logging.ERROR)

    class Converter(known):  # type: ignore[misc, valid-type]
        model_arch = known.model_arch

        def get_vocab_base_pre(self, tokenizer: Any) -> str:
            return "llama-bpe" if splits_like_llama_3(tokenizer) else super().get_vocab_base_pre(tokenizer)

    return Converter


def splits_like_llama_3(tokenizer: Any) -> bool:
    """Whether a tokenizer splits text by exactly Llama 3's expression before its merges."""
    steps = json.loads(tokenizer.backend_tokenizer.to_str())["pre_tokenizer"] or {}
    first = steps.get("pretokenizers", [{}])[0]
    return first.get("pattern", {}).get("Regex") == LLAMA_3_SPLIT


def ask_llama_cpp(model: Path, conversations: list[list[dict[str, str]]], max_tokens: int) -> list[LlamaAnswer]:
    """llama.cpp's greedy answers to conversations, each rendered by the chat template inside the GGUF."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.n_ctx = CONTEXT
    params.use_jinja = True
    params.verbosity = -1
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32  # as exact as the model's products
    server = xllamacpp.Server(params)
    return [
        LlamaAnswer(render_prompt(server.listening_address, turns), answer_tokens(server, turns, max_tokens))
        for turns in conversations
    ]


def render_prompt(address: str, turns: list[dict[str, str]]) -> str:
    """A conversation as the server renders it, by the chat template inside the GGUF."""
    body = json.dumps({"messages": turns}).encode()
    asked = Request(f"{address}/apply-template", data=body, headers={"Content-Type": "application/json"})
    with urlopen(asked, timeout=60) as response:
        return str(json.load(response)["prompt"])


def answer_tokens(server: Any, turns: list[dict[str, str]], max_tokens: int) -> list[int]:
    """The tokens of llama.cpp's most likely answer, up to a stop token."""
    response = server.handle_chat_completions(
        {"messages": turns, "max_tokens": max_tokens, "temperature": 0, "cache_prompt": False, "logprobs": True}
    )
    return [token["id"] for token in response["choices"][0]["logprobs"]["content"]]
