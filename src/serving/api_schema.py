"""What the API reads and writes: OpenAI's chat completions, with the sources of an answer as a field of their own.

Covers the fields of a request that count, those that may be sent and change nothing, and the sentence for each other
one; the answer, whole and in chunks. Does not cover HTTP, nor what the model is asked: questions.py does.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from src.inference.engine import FinishReason, Sampling
from src.inference.llama_cpp import CONTEXT, Piece
from src.params import shown_value
from src.prompts.rendering import Turns
from src.serving.api_errors import unknown_model, unreadable_body, wrong_value
from src.serving.model import Side
from src.serving.questions import Question

MODELS: dict[str, Side] = {"shelftalk": "tuned", "shelftalk-base": "base"}
LONGEST_MESSAGE = 8_000  # characters, about as much as the context holds
LONGEST_ANSWER = CONTEXT // 2  # tokens; a larger bound means this one, as the rest of the context is the prompt's

# What a client may send because it always does: it has no effect on an answer.
WITHOUT_EFFECT = {"metadata", "parallel_tool_calls", "prompt_cache_key", "safety_identifier", "service_tier", "store"}
WITHOUT_EFFECT |= {"user"}
# What OpenAI's interface has and this server has not, with the values that ask for nothing.
NOT_OFFERED: dict[str, tuple[object, ...]] = {
    "audio": (),
    "frequency_penalty": (0,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "n": (1,),
    "prediction": (),
    "presence_penalty": (0,),
    "reasoning_effort": ("none",),
    "response_format": ({"type": "text"},),
    "stop": ([],),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_logprobs": (0,),
    "verbosity": ("medium",),
    "web_search_options": (),
}
ALIASES = (("max_tokens", "max_completion_tokens"), ("repetition_penalty", "repeat_penalty"))  # llama.cpp's the last


class Message(BaseModel):
    """A message of the conversation; further fields, such as a name, have no effect."""

    model_config = ConfigDict(strict=True)

    role: Literal["system", "developer", "user", "assistant"]
    content: Any = None


class StreamOptions(BaseModel):
    """What a stream tells beside the answer."""

    model_config = ConfigDict(strict=True)

    include_usage: bool | None = None


class ChatRequest(BaseModel):
    """The fields of a request that count."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    model: str
    messages: Annotated[list[Message], Field(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=10)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0, le=10**6)] | None = None
    repetition_penalty: Annotated[float, Field(ge=0.1, le=10)] | None = None
    repeat_penalty: Annotated[float, Field(ge=0.1, le=10)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None


class Chat(NamedTuple):
    """A request that can be answered."""

    model: str
    side: Side
    text: str
    """The last message: a title, or a question about one."""
    turns: Turns
    """All messages."""
    sampling: Sampling
    stream: bool
    with_usage: bool
    """Whether a stream ends with a chunk that counts the tokens."""


def read_chat(body: bytes, default: Sampling) -> Chat:
    """The request in a body.

    Args:
        body: as it was posted.
        default: how answers are drawn where the request does not say.

    Raises:
        RequestError: with the first fault.
    """
    request = read_request(body)
    turns = [
        {"role": message.role, "content": read_content(message, f"messages.{number}.content")}
        for number, message in enumerate(request.messages)
    ]
    refuse_contradictions(request, turns)
    return Chat(
        model=request.model,
        side=side_of(request.model),
        text=turns[-1]["content"],
        turns=turns,
        sampling=read_sampling(request, default),
        stream=bool(request.stream),
        with_usage=bool(request.stream_options and request.stream_options.include_usage),
    )


def read_request(body: bytes) -> ChatRequest:
    """The fields that count.

    Raises:
        RequestError: if there is no JSON object, a field that is not known or not offered, or a value that cannot be.
    """
    try:
        fields = from_json(body)
    except ValueError as error:
        raise unreadable_body(str(error)) from None
    if not isinstance(fields, dict):
        raise unreadable_body(f"it is {shown_value(fields)}")
    refuse_not_offered(fields)
    known = {name: value for name, value in fields.items() if name not in {*WITHOUT_EFFECT, *NOT_OFFERED}}
    try:
        return ChatRequest.model_validate(known)
    except ValidationError as error:
        fault = error.errors()[0]
        param = ".".join(map(str, fault["loc"]))
        raise wrong_value(param, explain_fault(param, fault)) from None


def refuse_not_offered(fields: Mapping[str, object]) -> None:
    """Refuses fields that ask for what this server cannot do.

    Raises:
        RequestError: naming the first one.
    """
    for name, value in fields.items():
        if name in NOT_OFFERED and value is not None and value not in NOT_OFFERED[name]:
            raise wrong_value(name, f"{name} is {shown_value(value)}, which this server does not offer: leave it out.")


def explain_fault(param: str, fault: Mapping[str, Any]) -> str:
    """A fault that pydantic found as a sentence.

    Args:
        param: the field.
        fault: as pydantic tells it.
    """
    if fault["type"] == "missing":
        return f"{param} is missing: add it."
    if fault["type"] == "extra_forbidden":
        close = difflib.get_close_matches(param, ChatRequest.model_fields, n=1)
        return f"{param} is not known: {f'write {close[0]}' if close else 'leave it out'}."
    _, _, wanted = fault["msg"].partition(" should ")
    return f"{param} is {shown_value(fault['input'])}, and must {wanted or fault['msg']}: change it."


def read_content(message: Message, param: str) -> str:
    """The text of a message; its parts are joined by line breaks.

    Args:
        message: whose.
        param: where it is in the request.

    Raises:
        RequestError: if it holds anything but text.
    """
    content = message.content
    if content is None and message.role == "assistant":  # as it called a tool, elsewhere
        return ""
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(parts, list):
        raise wrong_value(param, f"{param} is {shown_value(content)}, and must be text: change it.")
    for number, part in enumerate(parts):
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            kind = part.get("type") if isinstance(part, dict) else part
            raise wrong_value(
                param, f"{param}.{number} is {shown_value(kind)}: the model reads text alone, leave it out."
            )
    return "\n".join(part["text"] for part in parts)


def refuse_contradictions(request: ChatRequest, turns: Turns) -> None:
    """Refuses a conversation without a question, and fields that make no sense together.

    Args:
        request: as it was read.
        turns: its messages.

    Raises:
        RequestError: with the first fault.
    """
    last, text = f"messages.{len(turns) - 1}", turns[-1]["content"]
    if turns[-1]["role"] != "user":
        raise wrong_value(
            f"{last}.role", "The last message is not the user's: end with a title, or a question about one."
        )
    if not text.strip():
        raise wrong_value(f"{last}.content", "The last message is empty: write a title, or a question about one.")
    if len(text) > LONGEST_MESSAGE:
        sentence = f"The last message has {len(text):,} characters, and may have {LONGEST_MESSAGE:,}: shorten it."
        raise wrong_value(f"{last}.content", sentence)
    for name, other in ALIASES:
        values = {getattr(request, name), getattr(request, other)} - {None}
        if len(values) > 1:
            raise wrong_value(other, f"{other} is another name of {name}, and has another value: leave one out.")
    if request.stream_options and not request.stream:
        raise wrong_value(
            "stream_options", "stream_options is set without stream: set stream to true, or leave it out."
        )


def side_of(model: str) -> Side:
    """Which model a name stands for.

    Raises:
        RequestError: if it is none's.
    """
    if model not in MODELS:
        raise unknown_model(list(MODELS), shown_value(model))
    return MODELS[model]


def read_sampling(request: ChatRequest, default: Sampling) -> Sampling:
    """How the answer is drawn.

    Args:
        request: what it sets counts.
        default: for the rest.
    """
    asked: dict[str, Any] = {
        "max_new_tokens": request.max_tokens or request.max_completion_tokens,
        "temperature": request.temperature,
        "top_k": request.top_k,
        "top_p": request.top_p,
        "repetition_penalty": request.repetition_penalty or request.repeat_penalty,
        "seed": request.seed,
    }
    sampling = default._replace(**{name: value for name, value in asked.items() if value is not None})
    return sampling._replace(max_new_tokens=min(sampling.max_new_tokens, LONGEST_ANSWER))


class Reply(NamedTuple):
    """What all parts of the response to a request have in common."""

    id: str
    created: int
    """Seconds since 1970."""
    model: str

    def completion(self, question: Question, pieces: Sequence[Piece]) -> dict[str, Any]:
        """The whole response.

        Args:
            question: with its sources.
            pieces: of the answer.
        """
        last, text = pieces[-1], "".join(piece.text for piece in pieces)
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": last.finish_reason}
        return self.part("chat.completion", [choice]) | {"usage": usage_of(last)} | evidence_of(question)

    def chunk(self, delta: dict[str, str], reason: FinishReason | None = None) -> dict[str, Any]:
        """A part of a stream.

        Args:
            delta: what it adds to the message.
            reason: how the answer ended, if it did.
        """
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return self.part("chat.completion.chunk", [choice])

    def last_chunk(self, question: Question, piece: Piece) -> dict[str, Any]:
        """The part of a stream that ends the answer.

        Args:
            question: with its sources.
            piece: the last one.
        """
        return self.chunk({}, piece.finish_reason) | evidence_of(question)

    def usage_chunk(self, piece: Piece) -> dict[str, Any]:
        """The part of a stream that counts the tokens, as the last piece does."""
        return self.part("chat.completion.chunk", []) | {"usage": usage_of(piece)}

    def part(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        """What whole responses and chunks share.

        Args:
            kind: OpenAI's name of the object.
            choices: one, or none where only tokens are counted.
        """
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model, "choices": choices}


def usage_of(piece: Piece) -> dict[str, int]:
    """The tokens of an answer that the last piece counts, in OpenAI's words."""
    prompt, answer = piece.counted or (0, 0)
    return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}


def evidence_of(question: Question) -> dict[str, Any]:
    """What an answer rests on: beside `choices`, where clients keep fields that they do not know."""
    return {
        "title": question.title,
        "sources": [asdict(hit) for hit in question.sources],
        "passages": [passage._asdict() for passage in question.passages],
    }
