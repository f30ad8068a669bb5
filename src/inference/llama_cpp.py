"""Answers of a GGUF file that llama.cpp runs in this process, with an adapter on it where there is one.

Covers llama.cpp's own server, as xllamacpp carries it: no compiler, no network. A request chooses how much of the
adapter counts, so that a base and its tuned model are one model in memory. Does not write GGUF files: src/export does.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from pathlib import Path
from typing import Any, NamedTuple

from src.inference import refusals
from src.inference.answering import answer_prompts
from src.inference.engine import Answer, FinishReason, Sampling, TokenCounts
from src.inference.llama_server import LlamaServer
from src.prompts.rendering import Prompt, Turns

CONTEXT = 2048  # tokens of prompt and answer together, which a description needs at most
EVENT = b"data: "  # what a server-sent event begins with
SEED_STEP = 2_654_435_761  # Knuth's multiplier: the prompts of two seeds that are close share no draws


class Piece(NamedTuple):
    """A part of an answer that is being written."""

    text: str
    """What comes next, of whole characters; the texts of all pieces are the answer."""
    finish_reason: FinishReason | None = None
    """None until the last piece: then stop where the model ended the answer, length where it reached max_new_tokens."""
    counted: TokenCounts | None = None
    """With the last piece the tokens of the prompt, and of the answer with the token that it stopped at."""


class LlamaCppEngine:
    """A GGUF file as an engine; its server stops with the last object that asks it.

    Args:
        gguf: the model's file.
        adapter: the file of a LoRA adapter for it, all of which counts at first.
        slots: answers that are written at once; each has a whole context.

    Raises:
        UserError: if llama.cpp does not load them.
    """

    def __init__(self, gguf: Path, adapter: Path | None = None, slots: int = 1) -> None:
        import xllamacpp

        self.name = gguf.name
        params = xllamacpp.CommonParams()
        params.model.path = str(gguf)
        params.n_ctx, params.n_parallel = CONTEXT * slots, slots
        params.use_jinja = True  # turns are rendered by the chat template inside the file
        params.verbosity = -1
        # As exact as the model's products; 16 bits, the default, add a difference that is not the file's.
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        self.adapter_scale = 1.0 if adapter else None
        if adapter:
            loaded = xllamacpp.CommonAdapterLoraInfo()
            loaded.path, loaded.scale = str(adapter), 1.0
            params.lora_adapters = [loaded]
        try:
            self.server = LlamaServer(params)
        except RuntimeError:  # which tells no reason
            raise refusals.unloadable_gguf(gguf, adapter) from None

    def at_scale(self, scale: float) -> "LlamaCppEngine":
        """The same model in the same memory with another share of its adapter: 0 is the base, 1 the tuned model."""
        other = copy(self)
        other.adapter_scale = scale
        return other

    def answer(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Answer]:
        """An answer to each prompt, in their order.

        Args:
            prompts: turns, or text without the begin-of-text token.
            sampling: how the answers are drawn.

        Raises:
            UserError: if llama.cpp does not answer a prompt.
        """
        return answer_prompts(self, prompts, sampling, label="Answering by llama.cpp")

    def batches(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Each prompt alone."""
        return [[number] for number in range(len(prompts))]

    def answer_batch(self, batch: Sequence[tuple[int, Prompt]], sampling: Sampling) -> list[Answer]:
        """The answers to prompts that come with their numbers.

        Args:
            batch: the prompts.
            sampling: how the answers are drawn.

        Raises:
            UserError: if llama.cpp does not answer a prompt.
        """
        return [read_answer(self.complete(prompt, sampling, number)) for number, prompt in batch]

    def complete(self, prompt: Prompt, sampling: Sampling, number: int) -> dict[str, Any]:
        """llama.cpp's answer to one prompt, in its server's own form: OpenAI's has no token ids.

        Args:
            prompt: turns, or text without the begin-of-text token.
            sampling: how the answer is drawn.
            number: of the prompt among all, which its draws follow from.

        Raises:
            UserError: if it gives none.
        """
        text = prompt if isinstance(prompt, str) else self.render_prompt(prompt)
        options = {**self.options(sampling, number), "return_tokens": True}
        with self.server.request("/completion", {"prompt": text, **options}, timeout=None) as response:
            return dict(json.load(response))

    def render_prompt(self, turns: Turns) -> str:
        """Turns as the chat template inside the file renders them, without the begin-of-text token."""
        with self.server.request("/apply-template", {"messages": turns}) as response:
            return str(json.load(response)["prompt"])

    def token_ids(self, prompt: str) -> list[int]:
        """Token ids of a prompt that lacks the begin-of-text token, with that token."""
        return self.tokenize(prompt, add_special=True, parse_special=True)

    def has_special_tokens(self, text: str) -> bool:
        """Whether a text holds what the model would read as special tokens, such as the one that ends a turn."""
        return self.tokenize(text, parse_special=True) != self.tokenize(text, parse_special=False)

    def tokenize(self, text: str, **options: bool) -> list[int]:
        """Token ids of a text.

        Args:
            text: any.
            options: of llama.cpp: whether the begin-of-text token is added, and special tokens are read.
        """
        with self.server.request("/tokenize", {"content": text, **options}) as response:
            return list(json.load(response)["tokens"])

    def stream(self, prompt: str, sampling: Sampling) -> Iterator[Piece]:
        """The text that `answer` gives, in pieces, each as soon as it is there; closed early, it frees its slot.

        Every piece is of whole characters: where an answer is cut off in one, what there is of it is left out.

        Args:
            prompt: text without the begin-of-text token.
            sampling: how the answer is drawn.

        Raises:
            UserError: if llama.cpp does not answer the prompt.
        """
        # By HTTP: in a callback of the server Ctrl-C would not be heard.
        options = {"prompt": prompt, **self.options(sampling), "stream": True}
        with self.server.request("/completion", options, timeout=None) as events:
            yield from read_pieces(events)

    def first_tokens(self, prompt: str, count: int) -> dict[int, float]:
        """The tokens that an answer most likely begins with, and their log-probabilities in nats.

        Args:
            prompt: text without the begin-of-text token.
            count: how many of them.
        """
        options = {"prompt": prompt, **self.options(Sampling(1)), "n_probs": count}
        with self.server.request("/completion", options) as response:
            [first] = json.load(response)["completion_probabilities"]
        return {token["id"]: token["logprob"] for token in first["top_logprobs"]}

    def options(self, sampling: Sampling, number: int = 0) -> dict[str, Any]:
        """How an answer is drawn, and from which share of the adapter; arguments as of `sampling_options`."""
        scale = {} if self.adapter_scale is None else {"lora": [{"id": 0, "scale": self.adapter_scale}]}
        return sampling_options(sampling, number) | scale


def read_pieces(events: Iterable[bytes]) -> Iterator[Piece]:
    """The pieces of an answer, without white space at its ends, the last one with how it ended.

    Args:
        events: lines of the server's response.

    Raises:
        UserError: if the server refuses, or stops before the answer ends.
    """
    text, given = "", ""
    for line in events:
        if line.startswith(EVENT):
            event = json.loads(line.removeprefix(EVENT))
            if "error" in event:
                raise refusals.refused_prompt(event["error"]["message"])
            text += event["content"]
            piece = text.strip().removeprefix(given)  # white space counts once more text follows it
            given += piece
            if event["stop"]:
                counted = TokenCounts(event["tokens_evaluated"], event["tokens_predicted"])
                yield Piece(piece, finish_reason(event), counted)
                return
            if piece:
                yield Piece(piece)
    raise refusals.stopped_server()


def sampling_options(sampling: Sampling, number: int = 0) -> dict[str, Any]:
    """How an answer is drawn, in the words of llama.cpp's server, and in transformers' order.

    Args:
        sampling: what is asked for.
        number: of the prompt among all.
    """
    return {
        "n_predict": sampling.max_new_tokens,
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": 0.0,  # llama.cpp's own default leaves out unlikely tokens
        "repeat_penalty": sampling.repetition_penalty,
        "repeat_last_n": CONTEXT,  # all tokens of prompt and answer
        "samplers": ["penalties", "temperature", "top_k", "top_p"],
        "seed": (sampling.seed + number * SEED_STEP) % 2**32,
        "cache_prompt": False,  # an answer depends on nothing that was asked before
    }


def read_answer(response: dict[str, Any]) -> Answer:
    """The answer in the server's response."""
    reason, tokens = finish_reason(response), response["tokens"]
    return Answer(
        text=response["content"].strip(),
        token_ids=tokens[:-1] if reason == "stop" else tokens,  # llama.cpp lists the token that it stopped at
        finish_reason=reason,
    )


def finish_reason(response: dict[str, Any]) -> FinishReason:
    """How an answer ended, from the server's response."""
    return "stop" if response["stop_type"] == "eos" else "length"
