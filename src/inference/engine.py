"""What every engine that answers prompts offers: prompts and sampling in, answers out.

Covers the types alone. An engine is one module beside this one: transformers_engine.py runs a model in this process,
llama_cpp.py a GGUF file, endpoint.py asks a server. Does not score answers: src/scoring does.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

from src.params import GenerateParams
from src.prompts.rendering import Prompt

FinishReason = Literal["stop", "length"]  # OpenAI's words, which llama.cpp's server uses too


class Sampling(NamedTuple):
    """How answers are drawn from a model: by default greedily, the most likely token each time."""

    max_new_tokens: int
    """Tokens that an answer has at most, its stop token among them."""
    temperature: float = 0.0
    """What the logits are divided by before a token is drawn; 0 takes the most likely one."""
    top_k: int = 0
    """Only so many of the most likely tokens may be drawn; 0 allows all."""
    top_p: float = 1.0
    """Only the most likely tokens that together have this probability may be drawn."""
    repetition_penalty: float = 1.0
    """What the logits of tokens that prompt and answer hold already are divided by (Keskar et al. 2019, CTRL)."""
    seed: int = 0
    """What the draws follow from, together with the prompt's number."""


def sampling_of(generate: GenerateParams) -> Sampling:
    """How the generate stage draws answers, and all that serve the model as it was evaluated."""
    return Sampling(
        max_new_tokens=generate.max_new_tokens,
        temperature=generate.temperature,
        top_k=generate.top_k,
        top_p=generate.top_p,
        repetition_penalty=generate.repetition_penalty,
        seed=generate.seed,
    )


class TokenCounts(NamedTuple):
    """How many tokens a model read and wrote."""

    prompt: int
    answer: int


class Answer(NamedTuple):
    """What a model answered, in the same terms for every engine."""

    text: str
    """Without special tokens and without white space at its ends."""
    token_ids: list[int]
    """As they were generated, without the token that the answer stopped at; none of an endpoint, which counts them."""
    finish_reason: FinishReason
    """stop where the model ended the answer by a stop token, length where it reached max_new_tokens."""
    counted: TokenCounts | None = None
    """Of an endpoint, as it counts; None where token_ids tell."""


class Engine(Protocol):
    """A model that is ready to answer."""

    def answer(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Answer]:
        """An answer to each prompt, in their order.

        Args:
            prompts: turns, which the engine renders by the model's chat template, or text without the begin-of-text
                token, which the engine adds.
            sampling: how the answers are drawn.

        Raises:
            UserError: if the model's chat template refuses the turns, or the engine a prompt.
        """
