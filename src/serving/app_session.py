"""What a visitor of the page asks for: two answers to one title, side by side, and a vote on them.

Covers the loading of the model while the page is open already, the answers as they grow, and the vote, which is kept
on the disk before the visitor is thanked. Knows no Gradio: app_page.py shows what is told here.
"""

import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path
from random import SystemRandom
from threading import Event, Thread
from typing import Literal, NamedTuple, cast

from src.errors import UserError
from src.export.forms import ADAPTER_GGUF
from src.inference.engine import Sampling
from src.inference.llama_cpp import Piece
from src.journal import Journal
from src.scoring.blind import is_shown
from src.scoring.page_votes import PageVote
from src.scoring.votes import digest
from src.serving import refusals
from src.serving.model import SIDES, ServedModel, Side
from src.serving.note import NAME, ServingNote, read_note
from src.serving.questions import Question, prepare_question
from src.serving.search import LONGEST_QUERY, TitleIndex

LONGEST_TITLE = LONGEST_QUERY  # characters: as long as the longest published one
SAME = 100.0  # similarity of titles of the same words
Choice = Literal["first", "second", "tie"]
Closable = Generator[Piece, None, None]


class Shown(NamedTuple):
    """What a visitor has before them: two answers in their order, and whose they are."""

    question: Question
    sides: tuple[Side, Side] = SIDES
    hidden: bool = False
    """Whether the visitor is not told whose they are before the vote."""
    answers: tuple[str, str] = ("", "")
    complete: bool = False
    vote: Choice | None = None


class Desk:
    """Answers visitors, as soon as the model is loaded.

    Args:
        export: folder of the exported model.
        index: of the titles.
        votes: where votes are kept.
        slots: answers that are written at once.
        log_prompts: whether titles are printed.

    Attributes:
        note: how the model is asked; None where there is no export.
        problem: why there is no model, in a sentence; empty while it loads, and after.
        loaded: set once loading has ended, either way.
    """

    def __init__(self, export: Path, index: Path, votes: Journal, slots: int = 4, log_prompts: bool = False) -> None:
        self.export, self.index_path, self.votes = export, index, votes
        self.slots, self.log_prompts = slots, log_prompts
        self.note: ServingNote | None = read_note(export) if (export / NAME).is_file() else None
        self.model: ServedModel | None = None
        self.index: TitleIndex | None = None
        self.problem, self.adapter = "", ""
        self.loaded = Event()

    def start_loading(self) -> None:
        """Loads in the background; a daemon, so that it holds up nobody who ends the page meanwhile."""
        Thread(target=self.load, daemon=True).start()

    def load(self) -> None:
        """Loads index and model; what fails is told on the page, and in the terminal."""
        try:
            self.index = TitleIndex(self.index_path)
            self.model = ServedModel(self.export, self.slots)
            self.adapter = sha256((self.export / ADAPTER_GGUF).read_bytes()).hexdigest()[:16]
            print("The model is loaded.", flush=True)
        except UserError as error:
            self.problem = str(error)
        except Exception as error:  # a thread's end is heard by nobody else
            self.problem = f"{self.export} could not be loaded: {error or type(error).__name__}"
        if self.problem:
            print(f"app: {self.problem}", file=sys.stderr, flush=True)
        self.loaded.set()

    def prepare(self, text: str, hidden: bool) -> Shown:
        """What is asked about a title, and in which order the two answers will stand.

        Args:
            text: as it was typed.
            hidden: whether the order is drawn.

        Raises:
            UserError: if there is no title, a title of another kind, or no model yet.
        """
        if self.model is None:
            raise refusals.not_loaded(self.problem)
        title = " ".join(visible_text(text).split())
        if not title:
            raise refusals.no_title()
        if len(title) > LONGEST_TITLE:
            raise refusals.long_title(len(title), LONGEST_TITLE)
        if self.log_prompts:
            print(f"asked: {title}\n", end="", flush=True)  # at once: visitors ask at the same time
        question = prepare_question(self.model.note, self.index, title)
        first, second = SystemRandom().sample(SIDES, 2) if hidden else SIDES
        return Shown(question, (first, second), hidden)

    def answer(self, shown: Shown, sampling: Sampling) -> Iterator[Shown]:
        """The same with its two answers, as often as they have grown; closed early, it frees its slots.

        Args:
            shown: from `prepare`.
            sampling: how both are drawn.

        Raises:
            UserError: if llama.cpp does not answer.
        """
        assert self.model is not None  # prepare has seen to that
        first, second = "", ""
        with ExitStack() as opened:
            streams = [
                opened.enter_context(closing(cast(Closable, self.model.stream(shown.question.turns, side, sampling))))
                for side in shown.sides
            ]
            for pieces in zip_longest(*streams):
                first, second = (
                    text + (piece.text if piece else "") for text, piece in zip((first, second), pieces, strict=True)
                )
                yield shown._replace(answers=(first, second))
        yield shown._replace(answers=(first, second), complete=True)

    def vote(self, shown: Shown, choice: Choice) -> Shown:
        """The same with the visitor's vote, which is on the disk.

        Args:
            shown: two complete answers; a second vote on them changes nothing.
            choice: which is better.
        """
        if not shown.complete or shown.vote:
            return shown
        nearest = next(iter(shown.question.sources), None)
        vote = PageVote(
            uid=nearest.uid if nearest and nearest.score == SAME else "",
            first=shown.sides[0],
            second=shown.sides[1],
            choice=choice,
            answers=digest(shown.question.title, *shown.answers),
            title=shown.question.title,
            first_answer=shown.answers[0],
            second_answer=shown.answers[1],
            hidden=shown.hidden,
            adapter=self.adapter,
        )
        self.votes.append(vote.model_dump())
        return shown._replace(vote=choice)


def visible_text(text: str) -> str:
    """A text without characters that are not seen, or that turn the direction of others; line breaks stay."""
    return "".join(char for char in text if char.isspace() or is_shown(char))
