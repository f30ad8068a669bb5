"""Texts of any content, in Markdown that shows them as they are."""

from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from src.review.safe_text import code_lines, code_span, visible

MARKDOWN = MarkdownIt("gfm-like", {"linkify": False})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("train.lr", "`train.lr`"),
        ("a\n\n# b", "`a # b`"),
        ("", "(empty)"),
        ("a|b", "<code>a&#124;b</code>"),
        ("`@octocat`", "<code>&#96;&#64;octocat&#96;</code>"),
        ("x" * 22, "`xxxxxxxxxxxxxxxxxxxx… (2 more characters)`"),
        ("\u202egpj.exe", "`\ufffdgpj.exe`"),
    ],
)
def test_a_text_in_a_line(text: str, shown: str) -> None:
    assert code_span(text, limit=20) == shown


@given(st.text(max_size=60))
def test_any_text_stays_one_cell_of_a_table(text: str) -> None:
    page = MARKDOWN.render(f"| a | b |\n|---|---|\n| {code_span(text)} | end |\n")
    body = page.split("<tbody>")[1]
    assert body.count("<td>") == 2
    line = " ".join(visible(text).split())
    assert (f"<code>{line}</code>" if line else "(empty)") in unescape(body)


@given(st.text(max_size=60))
def test_any_text_stays_in_its_html_table(text: str) -> None:
    shown = code_lines(text, 100)
    assert "\n" not in shown
    page = MARKDOWN.render(f"<table>\n<tr><td>{shown}</td></tr>\n</table>\n\nend")
    assert page == f"<table>\n<tr><td>{shown}</td></tr>\n</table>\n<p>end</p>\n"
