"""The text rules: examples of each, and the laws that hold for any text."""

import html
import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.records.rules import ASCII_RULES, MAX_PASSES, RULES, Rule, settle

EXAMPLES = {
    "Kerr&#8217;s best&#8211;selling": "Kerr’s best–selling",
    "x&#x92;s &#151; &#39;y&#39;": "x’s — 'y'",
    "&amp;amp;quot;owl&amp;amp;quot;": '"owl"',
    "a &" + 30 * "amp;" + "gt; b": "a > b",
    "deep&mdashperfect, AT&T, R&D, this&notthat": "deep—perfect, AT&T, R&D, this&notthat",
    "Black&reg Ink &copy; 2003": "Black® Ink © 2003",
    "cafÃ© itâ€™s Â£5": "café it’s £5",
    "don\x92t": "don’t",
    "naïve Ångström, São, à la carte": "naïve Ångström, São, à la carte",
    "soft\u00adware\u200b \ufeffis\x07 up": "software is up",
    "cafe\u0301": "café",
    "one<br/>two<P CLASS='x'>three</p>": "one two three",
    'H<sub>2</sub>O <a title="a > b" href=x>link</a>': "H2O link",
    "a < b and c > d, I <3 it (uses <2W)": "a < b and c > d, I <3 it (uses <2W)",
    "x <a and b> y": "x <a and b> y",
    "a<!-- .head -->b <script>if (a<b) {}</script>c": "ab c",
    "far. .caption { font-size: 10px; color: red; } Next": "far. Next",
    "&lt;b&gt;bold&lt;/b&gt; &amp;lt;i&amp;gt;x": "bold x",
    '<span class="a-size-medium': "",
    "Visit http://x.com/a?b=1&c=2. Or www.y.com!": "Visit. Or!",
    "the site (www.x.com/y) and shop.com/z, but Amazon.com": "the site and, but Amazon.com",
    "Write to <me@x.co.uk>. 3@1.50 each, @home": "Write to. 3@1.50 each, @home",
    "Good.--This text refers to theHardcoveredition.": "Good.",
    "Good. This text refers to an alternate Paperback edition.": "Good.",
    "Good.--This text refers to an out of print or unavailable edition of this title.": "Good.",
    "Good.--This text refers to theAudio Cassetteedition.": "Good.",
    "all.Copyright 1999 Reed Business Information, Inc.": "all.",
    "all.Copyright &copy; American Library Association. All rights reserved": "all.",
    "Copyright law for all": "Copyright law for all",
    "the end.The next one.I saw": "the end. The next one. I saw",
    "Mt.Fuji, Prof.Smith, Amazon.Com, System.Windows.Forms": "Mt.Fuji, Prof.Smith, Amazon.Com, System.Windows.Forms",
    " a \t\n b\u00a0\u3000c ": "a b c",
    "2-8 years, $5.99, €3, £2, ¥1, 1/2\" x 3', 555-1234": "2-8 years, $5.99, €3, £2, ¥1, 1/2\" x 3', 555-1234",
}


def cleaned(text: str, rules: tuple[Rule, ...] = RULES) -> str:
    return settle(pl.Series([text]), rules).texts[0]


@pytest.mark.parametrize("text", EXAMPLES)
def test_example(text: str) -> None:
    assert cleaned(text) == EXAMPLES[text]


def test_ascii_keeps_the_meaning_and_counts_what_is_lost() -> None:
    texts = pl.Series(["3½ “q” — naïve ≠ straße €5 ™", "Жук owl", "plain"])
    settled = settle(texts, ASCII_RULES)
    assert settled.texts.to_list() == ['3 1/2 "q" -- naive != strasse EUR5 (TM)', "owl", "plain"]
    assert settled.changed["no_ascii"].tolist() == [False, True, False]


def test_changes_are_counted_once_a_record_and_the_input_is_left_alone() -> None:
    texts = pl.Series(["&amp;lt;b&amp;gt;", "plain", "a &amp; b"])
    settled = settle(texts, RULES)
    assert texts[0] == "&amp;lt;b&amp;gt;"
    assert settled.changed["entities"].tolist() == [True, False, True]
    assert settled.changed["markup"].tolist() == [True, False, False]


def test_what_never_rests_is_named() -> None:
    assert MAX_PASSES < 40
    nested = "<" * 40 + "b>" * 40
    assert settle(pl.Series([nested, "plain"]), RULES).unsettled.tolist() == [True, False]


pieces = st.sampled_from(
    [
        *(
            "<b>",
            "</p>",
            "<",
            ">",
            "&",
            "amp;",
            "lt;",
            "gt;",
            "#60;",
            "&#x3c;",
            "&quot;",
            "quot;",
            "<!--",
            "-->",
            "<br",
        ),
        *(
            "http://",
            "www.",
            "x.com/",
            "a@b.com",
            "(",
            ")",
            "end.The ",
            "This text refers to the",
            "edition.",
            "Copyright",
        ),
        *(
            "Ã©",
            "â€™",
            "\x92",
            "\u00ad",
            "e\u0301",
            " ",
            "\n",
            "\u00a0",
            "script>",
            "style>",
            "{a:b;}",
            "'",
            '"',
            "＜",
            "½",
        ),
    ]
)
texts = st.lists(pieces | st.text(max_size=4), max_size=12).map("".join)
clean_texts = st.tuples(texts, st.sampled_from([RULES, ASCII_RULES]))


@given(clean_texts)
def test_cleaning_twice_is_cleaning_once(drawn: tuple[str, tuple[Rule, ...]]) -> None:
    text, rules = drawn
    once = settle(pl.Series([text]), rules)
    if not once.unsettled[0]:
        assert cleaned(once.texts[0], rules) == once.texts[0]


@given(texts)
def test_no_tag_and_no_entity_survives(text: str) -> None:
    once = settle(pl.Series([text]), RULES)
    if not once.unsettled[0]:
        assert not re.search(r"</?(?:b|p|br|i|script|style)\s*/?>|<!--", once.texts[0], re.IGNORECASE)
        named = re.findall(r"&(?:#\d{1,10}|#x[0-9a-f]{1,8}|[a-z]{2,6});", once.texts[0], re.IGNORECASE)
        assert all(html.unescape(entity) == entity for entity in named)


words = st.from_regex(
    r"[a-z]{1,6}|[0-9]{1,4}(-[0-9]{1,3})?|[$€£¥][0-9]{1,3}(\.[0-9]{2})?|[a-z]{2,5}['’][a-z]", fullmatch=True
)


@given(st.lists(words, max_size=10))
def test_plain_text_is_left_as_it_is(drawn: list[str]) -> None:
    assert cleaned(" ".join(drawn)) == " ".join(drawn)


@given(st.text(st.sampled_from("ab 0123-'’$€£¥,.;:!?()<>&%#/\"é"), max_size=40))
def test_no_digit_apostrophe_or_currency_sign_of_plain_text_is_lost(text: str) -> None:
    if not re.search(r"<[/!?a-z]|&#|\w/", text):
        kept = re.compile(r"[0-9'’$€£¥]|(?<=[0-9])-(?=[0-9])")
        assert kept.findall(cleaned(text)) == kept.findall(text)
