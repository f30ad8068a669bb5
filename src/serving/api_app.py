"""The API itself: which address answers what, as OpenAI's chat completions do.

Covers routes, streams and clients that go away. The command in api.py starts it.
"""

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Generator
from contextlib import closing
from functools import partial
from time import monotonic, time
from typing import Any, NamedTuple, TypeVar, cast

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException

from src.errors import UserError
from src.inference.llama_cpp import Piece
from src.serving import api_errors
from src.serving.api_guard import RequestLog, host_check, key_check, log_error, read_body
from src.serving.api_line import AnswerLine
from src.serving.api_schema import MODELS, Chat, Reply, read_chat, side_of
from src.serving.model import ServedModel
from src.serving.questions import Question, prepare_question
from src.serving.search import TitleIndex

LOG = logging.getLogger("shelftalk.api")
DONE = "data: [DONE]\n\n"
STREAMED = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # proxies that gather a stream spoil it
Given = TypeVar("Given")


class Access(NamedTuple):
    """Who may ask."""

    key: str | None
    """What they have to send; None asks for none."""
    names: frozenset[str] | None
    """By which the server may be asked; None allows all."""


class Api:
    """What the addresses answer.

    Args:
        model: the exported one.
        index: where sources are searched.
        line: of those who wait.
        log_prompts: whether the log holds messages and answers.
    """

    def __init__(self, model: ServedModel, index: TitleIndex, line: AnswerLine, log_prompts: bool = False) -> None:
        self.model, self.index, self.line, self.log_prompts = model, index, line, log_prompts
        self.started = int(time())

    async def health(self) -> dict[str, str | int]:
        """That the server answers, and how long the line is."""
        return {"status": "ok", "answering": len(self.line.served), "waiting": len(self.line.waiting)}

    async def models(self) -> dict[str, Any]:
        """The models' names."""
        return {"object": "list", "data": [self.describe(name) for name in MODELS]}

    async def describe_model(self, name: str) -> dict[str, Any]:
        """One of them.

        Raises:
            RequestError: if there is no such model.
        """
        side_of(name)
        return self.describe(name)

    def describe(self, name: str) -> dict[str, Any]:
        """A model as OpenAI lists it."""
        return {"id": name, "object": "model", "created": self.started, "owned_by": "shelftalk"}

    async def chat(self, request: Request) -> Response:
        """The answer to a conversation, or its stream.

        Raises:
            RequestError: if there is none.
        """
        chat = read_chat(await read_body(request), self.model.note.sampling)
        reply = Reply(f"chatcmpl-{secrets.token_hex(12)}", int(time()), chat.model)
        items: AsyncIterator[Any] = self.line.serve(partial(self.write, chat))
        # Until its turn has come and the prompt is accepted, an error still has a status of its own.
        question = await unless_gone(request, anext(items))
        if chat.stream:
            events = stream_events(reply, question, items, chat.with_usage)
            return StreamingResponse(events, media_type="text/event-stream", headers=STREAMED)
        return JSONResponse(await unless_gone(request, gather_answer(reply, question, items)))

    def write(self, chat: Chat) -> Generator[Question | Piece, None, None]:
        """The question as the model reads it, and the pieces of its answer; in a thread, once there is a slot.

        Args:
            chat: the request.
        """
        question = prepare_question(self.model.note, self.index, chat.text)
        if len(chat.turns) == len(question.turns) and chat.turns[0] == question.turns[0]:
            question = question._replace(turns=chat.turns)  # the trained prompt already, as the evaluation sends it
        start, written = monotonic(), [Piece("")]
        pieces = cast("Generator[Piece, None, None]", self.model.stream(question.turns, chat.side, chat.sampling))
        with closing(pieces):
            try:
                yield question
                for piece in pieces:
                    written.append(piece)
                    yield piece
            finally:
                self.log_answer(chat, written, monotonic() - start)

    def log_answer(self, chat: Chat, written: list[Piece], seconds: float) -> None:
        """A line about an answer, without its text unless that was asked for.

        Args:
            chat: the request.
            written: the pieces of the answer, as far as it came.
            seconds: that it took.
        """
        prompt, tokens = written[-1].counted or ("?", "?")
        ended = written[-1].finish_reason or "left before its end"
        LOG.info("%s: %s + %s tokens, %s, %.2f s", chat.model, prompt, tokens, ended, seconds)
        if self.log_prompts:
            texts = chat.text, "".join(piece.text for piece in written)
            LOG.info("asked %s, answered %s", *map(json.dumps, texts))


def make_app(api: Api, access: Access) -> FastAPI:
    """The application that uvicorn runs.

    Args:
        api: what the addresses answer.
        access: who may ask.
    """
    # Neither pages of documentation, which load scripts from elsewhere, nor redirections, which believe any Host.
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        dependencies=[Depends(host_check(access.names))],
    )
    app.get("/health")(api.health)
    version = APIRouter(prefix="/v1", dependencies=[Depends(key_check(access.key))])
    version.get("/models")(api.models)
    version.get("/models/{name}")(api.describe_model)
    version.post("/chat/completions", response_model=None)(api.chat)
    app.include_router(version)
    app.add_exception_handler(UserError, tell_error)
    app.add_exception_handler(HTTPException, tell_address)
    app.add_middleware(RequestLog)
    return app


async def tell_error(request: Request, error: Exception) -> JSONResponse:
    """An error in OpenAI's form.

    Args:
        request: that it is about.
        error: a sentence.
    """
    told = explain_error(error)
    return JSONResponse(told.body, told.status, told.headers)


def explain_error(error: Exception) -> api_errors.RequestError:
    """What a client is told of an error; one that should not be is named in the log."""
    told = api_errors.explain(error)
    if told.status == 500:
        log_error(error)
    return told


async def tell_address(request: Request, error: Exception) -> JSONResponse:
    """That there is nothing at an address, or not by this method; arguments as of `tell_error`."""
    wrong = api_errors.wrong_method if getattr(error, "status_code", 404) == 405 else api_errors.wrong_address
    return await tell_error(request, wrong())


async def gather_answer(reply: Reply, question: Question, items: AsyncIterator[Any]) -> dict[str, Any]:
    """The whole response.

    Args:
        reply: its beginning.
        question: with the sources.
        items: the pieces of the answer.
    """
    return reply.completion(question, [piece async for piece in items])


async def stream_events(
    reply: Reply, question: Question, items: AsyncIterator[Any], with_usage: bool
) -> AsyncIterator[str]:
    """The response as server-sent events: the role, the text in pieces, the end with the sources, the tokens.

    Args:
        reply: what the events have in common.
        question: with the sources.
        items: the pieces of the answer.
        with_usage: whether the tokens are counted at the end.
    """
    yield event(reply.chunk({"role": "assistant", "content": ""}))
    try:
        async for piece in items:
            if piece.text:
                yield event(reply.chunk({"content": piece.text}))
            if piece.finish_reason:
                yield event(reply.last_chunk(question, piece))
                if with_usage:
                    yield event(reply.usage_chunk(piece))
        yield DONE
    except Exception as error:  # the status has been sent: clients look for this event
        yield event(explain_error(error).body)


def event(data: dict[str, Any]) -> str:
    """A server-sent event, in ASCII: clients differ in what they take for the end of a line."""
    return f"data: {json.dumps(data, separators=(',', ':'))}\n\n"


async def unless_gone(request: Request, answer: Awaitable[Given]) -> Given:
    """What is awaited, or no more of it once the client has gone away.

    Args:
        request: the client's.
        answer: what it waits for.

    Raises:
        RequestError: if it has gone.
    """
    work, gone = asyncio.ensure_future(answer), asyncio.ensure_future(wait_until_gone(request))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise api_errors.client_gone()
        return work.result()
    finally:
        work.cancel()
        gone.cancel()


async def wait_until_gone(request: Request) -> None:
    """Returns when the client closes its connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
