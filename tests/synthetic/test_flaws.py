"""Every flaw can be undone by the obvious means, or drops the record, and is injected into its share of the records."""

import html
import random
import re
import unicodedata
from collections.abc import Callable

import ftfy
import pytest

from src.synthetic.catalogue import generate_products
from src.synthetic.flaws import (
    FLAWS,
    Flaw,
    Record,
    encode_decimal,
    encode_hexadecimal,
    encode_named,
    encode_windows,
    inject_flaw,
    inject_flaws,
    make_mojibake,
)

BLOCK = re.compile(r"</?(?:p|br|ul|li)\b[^>]*>")


def join(text: str) -> str:
    return " ".join(text.split())


UNDO: dict[str, Callable[[str], str]] = {
    "boilerplate": lambda text: re.sub(r"[ -]*This text refers to.*$", "", text),
    "glued": lambda text: re.sub(r"([a-z][.!?])(?=[A-Z][a-z])", r"\1 ", text),
    "tags": lambda text: join(re.sub(r"<[a-zA-Z/][^>]*>", "", BLOCK.sub(" ", text))),
    "url": lambda text: join(re.sub(r"(?:https?://|www\.)\S+", "", text)),
    "email": lambda text: join(re.sub(r"\S+@\S+", "", text)),
    "whitespace": join,
    "decomposed": lambda text: unicodedata.normalize("NFC", text),
    "named_entities": html.unescape,
    "decimal_entities": html.unescape,
    "hexadecimal_entities": html.unescape,
    "windows_entities": html.unescape,
    "double_entities": lambda text: html.unescape(html.unescape(text)),
    "mojibake": ftfy.fix_encoding,
    "control": lambda text: re.sub(r"[\x00-\x08\x0e-\x1f\x7f]", "", text),
}
CURABLE = [flaw for flaw in FLAWS if not flaw.drops_record]
FATAL = [flaw for flaw in FLAWS if flaw.drops_record]


def records(seed: int, count: int) -> list[Record]:
    return [Record(product) for product in generate_products(seed, count)]


@pytest.mark.parametrize("flaw", CURABLE, ids=lambda flaw: flaw.name)
def test_flaw_is_undone(flaw: Flaw) -> None:
    found = records(5, 3000)
    inject_flaw(random.Random(5), flaw, found)
    flawed = [record for record in found if record.flaws]
    assert flawed
    for record in flawed:
        assert (record.title, record.content) != (record.original.title, record.original.content)
        assert UNDO[flaw.name](record.content) == record.original.content
        if flaw.name != "tags":  # titles hold no tags, and nothing else changes them
            assert UNDO[flaw.name](record.title) == record.original.title


@pytest.mark.parametrize("flaw", FLAWS, ids=lambda flaw: flaw.name)
def test_flaw_is_injected_into_its_share(flaw: Flaw) -> None:
    found = records(6, 3000)
    inject_flaw(random.Random(6), flaw, found)
    candidates = [record for record in found if record.original.kind == "book" or not flaw.books_only]
    assert sum(record.flaws == [flaw.name] for record in candidates) == round(flaw.share * len(candidates))
    assert all(not record.flaws or record in candidates for record in found)


@pytest.mark.parametrize("flaw", FATAL, ids=lambda flaw: flaw.name)
def test_flaw_that_drops_is_noted_as_the_reason(flaw: Flaw) -> None:
    found = records(7, 1000)
    inject_flaw(random.Random(7), flaw, found)
    assert all((record.drop_reason == flaw.name) == bool(record.flaws) for record in found)


@pytest.mark.parametrize(
    ("change", "forms"),
    [
        (make_mojibake, {"Kerrâ€™s cafÃ© & co"}),
        (encode_named, {"Kerr&rsquo;s caf&eacute; &amp; co"}),
        (encode_decimal, {"Kerr&#8217;s caf&#233; &#38; co"}),
        (encode_hexadecimal, {"Kerr&#x2019;s caf&#xE9; &#x26; co"}),
        (encode_windows, {"Kerr&#146;s caf&#233; &#38; co", "Kerr&#x92;s caf&#xe9; &#x26; co"}),
    ],
)
def test_broken_characters_look_as_in_real_data(change: Callable[[random.Random, str], str], forms: set[str]) -> None:
    assert {change(random.Random(seed), "Kerr’s café & co") for seed in range(20)} == forms


def test_fatal_flaws_do_what_they_say() -> None:
    found = records(8, 3000)
    inject_flaws(random.Random(8), found)
    hit = {flaw.name: [record for record in found if record.drop_reason == flaw.name] for flaw in FATAL}
    assert all(hit.values())
    assert all(not record.title.strip() for record in hit["empty_title"])
    assert all(not record.content.strip() for record in hit["empty_content"])
    assert all(record.title.startswith("<span") for record in hit["markup_title"])
    assert all(record.content.casefold() == record.title.casefold() for record in hit["content_is_title"])


def test_records_without_a_flaw_are_as_they_were() -> None:
    found = records(9, 2000)
    inject_flaws(random.Random(9), found)
    whole = [record for record in found if not record.flaws]
    assert len(whole) > 500
    assert all((record.title, record.content) == (record.original.title, record.original.content) for record in whole)


def test_injection_depends_on_the_seed_alone() -> None:
    first, second, other = (records(1, 500) for _ in range(3))
    for seed, found in ((1, first), (1, second), (2, other)):
        inject_flaws(random.Random(seed), found)
    assert first == second
    assert first != other
