"""Training examples to look at: which tokens are trained, which are masked, where a record is truncated.

Covers one encoded record as text for a terminal, in colours or, without them, in brackets. Follows nanochat's
visualize_tokenization. Does not measure anything: label_audit.py does.
"""

from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from src.prompts.encoding import IGNORE_INDEX, EncodedRecord

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# By state: the colour (ANSI "select graphic rendition" codes), and the brackets that stand for it without colours.
STYLES = {"trained": ("32", "[[", "]]"), "masked": ("2", "", ""), "truncated": ("31;9", "((", "))")}
SPECIAL = "7"  # reverse video


class TokenSpan(NamedTuple):
    """Neighbouring tokens of one state as text; a special token is a span of its own."""

    text: str
    state: str
    special: bool


def token_spans(tokenizer: "PreTrainedTokenizerBase", whole: EncodedRecord, max_length: int) -> list[TokenSpan]:
    """An encoded record as spans of tokens that are trained, masked or, beyond train.max_length, truncated.

    Args:
        tokenizer: what the record was encoded with.
        whole: the record, not truncated.
        max_length: train.max_length.
    """
    special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}

    def kind(position: int) -> tuple[str, int]:
        token, label = whole.input_ids[position], whole.labels[position]
        state = "truncated" if position >= max_length else "masked" if label == IGNORE_INDEX else "trained"
        return state, position if token in special else -1

    positions = groupby(range(len(whole.input_ids)), key=kind)
    return [
        TokenSpan(str(tokenizer.decode([whole.input_ids[position] for position in group])), state, place >= 0)
        for (state, place), group in positions
    ]


def paint_spans(spans: Iterable[TokenSpan], colours: bool) -> str:
    """Spans as text, in colours or in brackets.

    Args:
        spans: those of a record, in order.
        colours: whether the terminal shows colours.
    """
    return "".join(paint_text(escape_controls(span.text), span.state, span.special, colours) for span in spans)


def paint_text(text: str, state: str, special: bool, colours: bool) -> str:
    """A text of one state; line breaks stay outside of the colour, which would go on to the end of the line.

    Args:
        text: a span's text, or part of it.
        state: one of STYLES.
        special: whether it is a special token.
        colours: whether the terminal shows colours.
    """
    colour, opening, closing = STYLES[state]
    if not colours:
        return f"{opening}{text}{closing}"
    code = f"{colour};{SPECIAL}" if special else colour
    return "\n".join(f"\x1b[{code}m{line}\x1b[0m" if line else "" for line in text.split("\n"))


def escape_controls(text: str) -> str:
    """Text whose control characters are written out, so that a title cannot steer the terminal."""
    return "".join(
        character if character.isprintable() or character == "\n" else character.encode("unicode_escape").decode()
        for character in text
    )


def colour_legend(colours: bool) -> str:
    """What the colours or brackets mean."""
    states = ", ".join(paint_text(state, state, False, colours) for state in STYLES)
    return f"{states}; special tokens {paint_text('<|reversed|>', 'masked', True, True) if colours else 'as <|text|>'}"


def spread_positions(records: list[Any], count: int) -> list[int]:
    """Positions of `count` records, evenly spaced from the shortest to the longest in characters; of 1, the median.

    Args:
        records: what to choose from.
        count: how many, or all where there are fewer.
    """
    by_length = sorted(range(len(records)), key=lambda position: len(str(records[position])))
    count, middle = min(count, len(records)), len(records) // 2
    if count < 2:
        return by_length[middle : middle + 1]
    return [by_length[step * (len(records) - 1) // (count - 1)] for step in range(count)]
