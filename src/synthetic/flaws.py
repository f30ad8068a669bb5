"""The flaws of raw product data, injected into clean records in about the shares of the published file.

Covers flaws that cleaning can undo and those for which it has to drop the record. The original is kept beside the
flawed texts. Does not cover malformed lines of the file (raw_file.py).
"""

import html.entities
import random
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field

from src.synthetic.catalogue import Product

SENTENCE_BREAK = re.compile(r"(?<=[a-z][.!?]) (?=[A-Z][a-z])")
SPECIAL = re.compile(r"[<>&\"']|[^\x00-\x7f]")
SCRAPED_TITLES = (
    '<span class="a-size-medium a-color-secondary a-text-normal"',
    '<span class="a-size-medium a-color-base">',
    '<span id="productTitle" class="a-size-large">',
)
REFERENCES = (
    "This text refers to theHardcoveredition.",
    "This text refers to thePaperbackedition.",
    "This text refers to theAudio Cassetteedition.",
    "This text refers to theMass Market Paperbackedition.",
    "This text refers to an alternatePaperbackedition.",
    "This text refers to an alternateHardcoveredition.",
    "This text refers to the Hardcover edition.",
    "This text refers to an out of print or unavailable edition of this title.",
)


@dataclass
class Record:
    """A product on its way to the raw file.

    Args:
        original: the clean product, which stays as it is.
        title: its title, which takes the flaws.
        content: its content, likewise.
        flaws: the names of the flaws injected, in order.
        drop_reason: the flaw for which cleaning has to drop the record, None if it is kept.
    """

    original: Product
    title: str = ""
    content: str = ""
    flaws: list[str] = field(default_factory=list)
    drop_reason: str | None = None

    def __post_init__(self) -> None:
        self.title, self.content = self.original.title, self.original.content


Injection = Callable[[random.Random, str, str], tuple[str, str]]


@dataclass(frozen=True)
class Flaw:
    """A flaw and how it gets into a record.

    Args:
        name: as the ground truth calls it.
        share: of the records that can have it.
        inject: gives a title and a content with the flaw, or both unchanged where they offer no place for it.
        books_only: whether only books can have it.
        drops_record: whether nothing can undo it, so that cleaning has to drop the record.
    """

    name: str
    share: float
    inject: Injection
    books_only: bool = False
    drops_record: bool = False


def inject_flaws(rng: random.Random, records: list[Record]) -> None:
    """Injects every flaw of FLAWS into its share of the records.

    Args:
        rng: draws the records and the places in them.
        records: changed in place.
    """
    for flaw in FLAWS:
        inject_flaw(rng, flaw, records)


def inject_flaw(rng: random.Random, flaw: Flaw, records: list[Record]) -> None:
    """Injects one flaw into its share of the records that can have it, or into fewer if too few offer a place.

    Args:
        rng: draws the records and the places in them.
        flaw: what to inject.
        records: changed in place.
    """
    candidates = [record for record in records if can_have(flaw, record)]
    missing = round(flaw.share * len(candidates))
    for record in rng.sample(candidates, len(candidates)):
        if missing == 0:
            break
        missing -= inject_into(rng, flaw, record)


def can_have(flaw: Flaw, record: Record) -> bool:
    """Tells whether a flaw may be injected: one that cleaning can undo goes into records that are kept.

    Args:
        flaw: what to inject.
        record: where to.

    Returns:
        Whether it may.
    """
    return (flaw.drops_record or record.drop_reason is None) and (record.original.kind == "book" or not flaw.books_only)


def inject_into(rng: random.Random, flaw: Flaw, record: Record) -> bool:
    """Injects a flaw into a record and notes it there.

    Args:
        rng: draws the places.
        flaw: what to inject.
        record: changed in place.

    Returns:
        Whether the record offered a place for it.
    """
    flawed = flaw.inject(rng, record.title, record.content)
    if flawed == (record.title, record.content):
        return False
    record.title, record.content = flawed
    record.flaws.append(flaw.name)
    if flaw.drops_record:
        record.drop_reason = record.drop_reason or flaw.name
    return True


def in_content(change: Callable[[random.Random, str], str]) -> Injection:
    """A change of a text as a flaw of the content."""
    return lambda rng, title, content: (title, change(rng, content))


def in_both(change: Callable[[random.Random, str], str]) -> Injection:
    """A change of a text as a flaw of the title and the content."""
    return lambda rng, title, content: (change(rng, title), change(rng, content))


# What follows injects one flaw each, with the random generator first: into a title and a content, or into one text.


def empty_title(rng: random.Random, title: str, content: str) -> tuple[str, str]:
    """No title, or one of white space."""
    return rng.choice(["", "", "", " "]), content


def empty_content(rng: random.Random, title: str, content: str) -> tuple[str, str]:
    """No content, or one of white space."""
    return title, rng.choice(["", "", "", "\n"])


def scrape_title(rng: random.Random, title: str, content: str) -> tuple[str, str]:
    """A piece of the web page's markup where the title should be."""
    return (rng.choice(SCRAPED_TITLES), content) if title.strip() else (title, content)


def repeat_title(rng: random.Random, title: str, content: str) -> tuple[str, str]:
    """The title again as the content."""
    # A shorter one would be dropped for its length (data.min_content_chars) before this flaw is looked for.
    fits = len(title) >= 45 and content.strip() and not title.startswith("<")
    return (title, rng.choice([title, title.upper()])) if fits else (title, content)


def add_edition_note(rng: random.Random, text: str) -> str:
    """The bookshop's note on the edition at the end, mostly glued to the last sentence."""
    return text + rng.choice(["", "", " ", "--"]) + rng.choice(REFERENCES)


def glue_sentences(rng: random.Random, text: str) -> str:
    """One or two sentences without the space between them."""
    return replace_some(rng, SENTENCE_BREAK, text, rng.randint(1, 2), lambda _: "")


def add_tags(rng: random.Random, text: str) -> str:
    """HTML: paragraphs, breaks and lists between sentences, or a word in bold or in a link."""
    block = rng.choice(["</p><p>", "</p>\n<p>", "<br>", "<br />", "<br/><br/>", "</li><li>"])
    word = rng.choice(
        ["<b>{}</b>", "<i>{}</i>", "<STRONG>{}</STRONG>", '<a href="http://www.larkpuddle.example/">{}</a>']
    )
    if rng.random() < 0.4:
        return replace_some(rng, re.compile(r"\b[A-Za-z]{4,}\b"), text, 1, lambda found: word.format(found.group()))
    opening, closing = {"p": ("<p>", "</p>"), "l": ("<ul><li>", "</li></ul>")}.get(block.strip("</")[0], ("", ""))
    return opening + replace_some(rng, SENTENCE_BREAK, text, 3, lambda _: block) + closing


def add_url(rng: random.Random, text: str) -> str:
    """A web address between two sentences."""
    address = rng.choice(
        ["http://www.larkpuddle.example/shop", "https://mossferry.example/p/{}", "www.brindlemouth.example"]
    )
    return replace_some(rng, SENTENCE_BREAK, text, 1, lambda _: f" {address.format(rng.randint(100, 999))} ")


def add_email(rng: random.Random, text: str) -> str:
    """An e-mail address between two sentences."""
    address = rng.choice(["info@larkpuddle.example", "customer.service@mossferry.example", "orders-2@quibble.example"])
    return replace_some(rng, SENTENCE_BREAK, text, 1, lambda _: f" {address} ")


def add_spaces(rng: random.Random, text: str) -> str:
    """Runs of spaces, tabs, line ends or no-break spaces in place of single spaces, and some at the ends."""
    odd = rng.choice(["  ", "   ", "\t", "\n", "\r\n", "\u00a0", "\u2009", " \n\n "])
    return rng.choice(["", odd]) + replace_some(rng, re.compile(" "), text, 3, lambda _: odd) + rng.choice(["", odd])


def add_controls(rng: random.Random, text: str) -> str:
    """Control characters before words."""
    odd = rng.choice(["\x00", "\x02", "\x07", "\x0f", "\x1a", "\x7f"])
    return replace_some(rng, re.compile(" "), text, 2, lambda _: " " + odd)


def make_mojibake(rng: random.Random, text: str) -> str:
    """UTF-8 read as Windows-1252; unchanged where a byte has no meaning there."""
    try:
        return re.sub(r"[^\x00-\x7f]", lambda found: found.group().encode().decode("cp1252"), text)
    except UnicodeDecodeError:
        return text


def decompose_letters(rng: random.Random, text: str) -> str:
    """Letters and their accents as two characters each."""
    return unicodedata.normalize("NFD", text)


def encode_named(rng: random.Random, text: str) -> str:
    """Special characters as named entities, such as &rsquo;."""
    return SPECIAL.sub(lambda found: name_entity(found.group()), text)


def encode_decimal(rng: random.Random, text: str) -> str:
    """Special characters as decimal entities, such as &#8217;."""
    return SPECIAL.sub(lambda found: f"&#{ord(found.group())};", text)


def encode_hexadecimal(rng: random.Random, text: str) -> str:
    """Special characters as hexadecimal entities, such as &#x2019;."""
    return SPECIAL.sub(lambda found: f"&#x{ord(found.group()):X};", text)


def encode_windows(rng: random.Random, text: str) -> str:
    """Special characters as their numbers in Windows-1252, such as &#146; or &#x92;."""
    form = rng.choice(["&#{};", "&#x{:x};"])
    return SPECIAL.sub(lambda found: form.format(windows_number(found.group())), text)


def encode_twice(rng: random.Random, text: str) -> str:
    """Entities encoded once more, such as &amp;rsquo; or &amp;#8217;."""
    once = rng.choice([encode_named, encode_decimal])(rng, text)
    return once.replace("&", "&amp;")


def name_entity(character: str) -> str:
    """The named entity of a character, or the decimal one where it has no name."""
    name = html.entities.codepoint2name.get(ord(character))
    return f"&{name};" if name else f"&#{ord(character)};"


def windows_number(character: str) -> int:
    """The byte of a character in Windows-1252, or its Unicode number where it isn't there."""
    encoded = character.encode("cp1252", errors="ignore")
    return encoded[0] if encoded else ord(character)


def replace_some(
    rng: random.Random, pattern: re.Pattern[str], text: str, most: int, new: Callable[[re.Match[str]], str]
) -> str:
    """Replaces random matches of a pattern.

    Args:
        rng: draws the matches.
        pattern: what to replace.
        text: where.
        most: matches replaced, at most.
        new: what a match is replaced by.

    Returns:
        The text with its replacements.
    """
    matches = list(pattern.finditer(text))
    chosen = rng.sample(matches, min(most, len(matches)))
    for match in sorted(chosen, key=lambda match: -match.start()):  # from the end, so that earlier positions stay valid
        text = text[: match.start()] + new(match) + text[match.end() :]
    return text


# In the order of injection, in which each flaw leaves those before it recognisable: entities come after tags and
# addresses, whose characters they encode as well. The shares are about those of the published file.
FLAWS = (
    Flaw("empty_title", 0.056, empty_title, drops_record=True),
    Flaw("empty_content", 0.333, empty_content, drops_record=True),
    Flaw("markup_title", 0.005, scrape_title, drops_record=True),
    Flaw("content_is_title", 0.005, repeat_title, drops_record=True),
    Flaw("boilerplate", 0.24, in_content(add_edition_note), books_only=True),
    Flaw("glued", 0.16, in_content(glue_sentences)),
    Flaw("tags", 0.10, in_content(add_tags)),
    Flaw("url", 0.02, in_content(add_url)),
    Flaw("email", 0.01, in_content(add_email)),
    Flaw("whitespace", 0.06, in_both(add_spaces)),
    Flaw("decomposed", 0.01, in_both(decompose_letters)),
    Flaw("named_entities", 0.05, in_both(encode_named)),
    Flaw("decimal_entities", 0.05, in_both(encode_decimal)),
    Flaw("hexadecimal_entities", 0.02, in_both(encode_hexadecimal)),
    Flaw("windows_entities", 0.02, in_both(encode_windows)),
    Flaw("double_entities", 0.02, in_both(encode_twice)),
    Flaw("mojibake", 0.03, in_both(make_mojibake)),
    Flaw("control", 0.01, in_both(add_controls)),
)
