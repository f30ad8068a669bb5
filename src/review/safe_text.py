"""Texts of any content as Markdown that shows them as they are: no mark-up, no links, and nobody is mentioned.

Covers texts in a line or a table's cell, and texts in an HTML table. GitHub and GitLab look for @names and #numbers in
the finished page, where an escaped @ is an @ again, but not within `code`.
"""

import re
from html import escape

SPECIAL = re.compile(r"[`|\\]")  # what ends a code span, or a cell of a table
ODD = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")  # unseen
PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")


def code_span(text: str, limit: int = 200) -> str:
    """A text as code in a line of Markdown or a cell of a table.

    Args:
        text: of any content.
        limit: characters, after which it is cut off.
    """
    line = " ".join(visible(shorten(text, limit)).split())
    if not line:
        return "(empty)"
    if SPECIAL.search(line):  # as HTML then, and all punctuation by its number
        return f"<code>{PUNCTUATION.sub(lambda found: f'&#{ord(found[0])};', line)}</code>"
    return f"`{line}`"


def code_lines(text: str, limit: int) -> str:
    """A text as code in an HTML table, lines as they are; an empty line would end the table.

    Args:
        text: of any content.
        limit: characters, after which it is cut off.
    """
    lines = visible(shorten(text, limit)).strip().splitlines()
    shown = "<br>".join(escape(line) for line in lines)
    return f"<code>{shown}</code>" if shown else "(empty)"


def shorten(text: str, limit: int) -> str:
    """A text that is cut off where it is long, with how much was.

    Args:
        text: of any content.
        limit: characters.
    """
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def visible(text: str) -> str:
    """A text whose control characters are shown as such; those that turn the writing's direction are among them."""
    return ODD.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n").replace("\r", "\n"))
