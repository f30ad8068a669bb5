"""Asks the exported model for the description of a product: by its title, or by a question that names it.

Covers the command: the answer as it is written, then the records that answer for it, or the words that there are none.
Both are the product and go to the standard output; what is on the way there goes to the standard error. Loads no torch,
so that it starts at once.

    python -m src.serving.ask "Oak Desk Lamp, 30 cm"
    python -m src.serving.ask "What is the Oak Desk Lamp made of?" --json
    python -m src.serving.ask "Oak Desk Lamp, 30 cm" --base --temperature 0.7 --seed 3
"""

import argparse
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from src.errors import UserError
from src.export.forms import ADAPTER_GGUF, BASE_GGUF
from src.inference.engine import Sampling
from src.inference.llama_cpp import Piece
from src.progress import activity
from src.serving import refusals
from src.serving.model import EXPORT, ServedModel, Side
from src.serving.note import ServingNote, read_note
from src.serving.questions import MOST_SOURCES, SOURCES, Question, prepare_question
from src.serving.search import INDEX, TitleIndex

SAMPLING: dict[str, type] = {
    "temperature": float,
    "top_k": int,
    "top_p": float,
    "repetition_penalty": float,
    "max_new_tokens": int,
    "seed": int,
}
NO_SOURCE = "No source: no record has this title, so the answer comes from the title alone."


def main() -> None:
    """Answers the question on the command line."""
    arguments = parse_arguments()
    try:
        ask(arguments)
    except UserError as error:
        sys.exit(f"ask: {error}")
    except KeyboardInterrupt:
        sys.exit("\nask: interrupted.")
    except BrokenPipeError:  # nobody reads on, as behind `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m src.serving.ask", description="Describes a product from its title, and names its sources."
    )
    parser.add_argument("text", metavar="TITLE", help="the product's title, or a question that names it")
    parser.add_argument("--base", action="store_true", help="ask the base model, without the adapter")
    parser.add_argument("--json", action="store_true", help="print one JSON object once the answer is whole")
    parser.add_argument("--sources", type=int, default=SOURCES, help="records named, at most (default: %(default)s)")
    for name, kind in SAMPLING.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, help="by default as the model was evaluated")
    return parser.parse_args()


def ask(arguments: argparse.Namespace) -> None:
    """Prints an answer with its sources.

    Args:
        arguments: of the command line.

    Raises:
        UserError: if an option is out of its range, or the text cannot be asked.
    """
    refusals.refuse_other_count("--sources", arguments.sources, MOST_SOURCES)
    side: Side = "base" if arguments.base else "tuned"
    note = read_note(EXPORT)
    sampling = read_sampling(note, vars(arguments))
    question = prepare_question(note, open_index(), arguments.text, arguments.sources)
    with activity("Loading the model"):
        model = ServedModel(slots=1)
    pieces = model.stream(question.turns, side, sampling)
    if arguments.json:
        print_json(arguments.text, question, side, list(pieces))
    else:
        print_pieces(pieces)
        print_sources(question)


def read_sampling(note: ServingNote, options: dict[str, Any]) -> Sampling:
    """How the answer is drawn: as the model was evaluated, but for the options that are given.

    Args:
        note: of the export.
        options: by their names; None where one is not given.

    Raises:
        UserError: naming an option that is out of its range.
    """
    sampling = note.sampling._replace(**{name: options[name] for name in SAMPLING if options[name] is not None})
    refusals.refuse_sampling(sampling)
    return sampling


def open_index() -> TitleIndex | None:
    """The index, or None where there is none, which is told."""
    if INDEX.is_file():
        return TitleIndex(INDEX)
    print(f"ask: {refusals.missing_index(INDEX)} Until then no source is named.", file=sys.stderr)
    return None


def print_pieces(pieces: Iterable[Piece]) -> None:
    """Prints an answer while it is written."""
    for piece in pieces:
        print(piece.text, end="", flush=True)
    print()


def print_sources(question: Question) -> None:
    """Prints what the records say to a question, and which they are."""
    for passage in question.passages:
        print(f"\n“{passage.text}” ({passage.uid})")
    print("\nSources:" if question.sources else f"\n{NO_SOURCE}")
    for hit in question.sources:
        print(f"{hit.score:5.1f}  {hit.uid}  {hit.title}")


def print_json(text: str, question: Question, side: Side, pieces: list[Piece]) -> None:
    """Prints an answer with its sources as one JSON object.

    Args:
        text: as it was typed.
        question: what was asked.
        side: which model.
        pieces: of the answer.
    """
    answer = {
        "question": text,
        "title": question.title,
        "answer": "".join(piece.text for piece in pieces),
        "side": side,
        "finish_reason": pieces[-1].finish_reason,
        "passages": [passage._asdict() for passage in question.passages],
        "sources": [asdict(hit) for hit in question.sources],
        "model": [BASE_GGUF] if side == "base" else [BASE_GGUF, ADAPTER_GGUF],
    }
    print(json.dumps(answer, ensure_ascii=False, indent=2))


if __name__ == "__main__":
    main()
