"""The text rules of cleaning, in order, and how they are applied until a text changes no more.

| rule        | what it does                                                     | why here                           |
|-------------|------------------------------------------------------------------|-------------------------------------|
| entities    | decodes HTML entities, doubly encoded and Windows-1252 ones too  | all below must see the characters  |
| mojibake    | repairs UTF-8 read as Windows-1252, and C1 characters            | needs the C1 characters            |
| controls    | removes control, invisible and private-use characters            | what is left of them means nothing |
| unicode     | composes to NFC                                                  | one form of a letter for all below |
| markup      | removes comments, scripts, styles, tags; block tags leave a space| a tag's attributes hold URLs       |
| urls        | removes addresses of the web                                     | before sentences are split at a dot|
| emails      | removes e-mail addresses                                         | as above                           |
| boilerplate | removes notes on editions and the copyright notes of reviews     | its words are glued: before glued  |
| glued       | splits sentences glued at a full stop, where that is certain     | after all that holds dots          |
| ascii       | transliterates (option `clean.ascii`)                            | after all that reads the characters|
| no_ascii    | removes characters without an ASCII form (option `clean.ascii`)  | only those are left                |
| spaces      | collapses white space, strips the ends                           | mends the gaps of all above        |

What a rule yields may call for an earlier one: `&lt;b&gt;` becomes a tag. So a text that changed goes through all of
them again, and cleaning twice is cleaning once. No rule is a whitelist of characters. Drops no record: see clean.py.
"""

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html.entities import html5

import ftfy
import numpy as np
import polars as pl
from ftfy.fixes import fix_c1_controls

from src.records import markup
from src.records.transliterate import to_ascii

MAX_PASSES = 12


@dataclass(frozen=True)
class Rule:
    """A rule: texts in which `suspect` (Rust syntax) is found go through `mend`, all others are left alone."""

    name: str
    suspect: str
    mend: Callable[[pl.Series], pl.Series]


@dataclass(frozen=True)
class Settled:
    """Texts that rules change no more, per rule which ones it changed, and which never came to rest."""

    texts: pl.Series
    changed: dict[str, np.ndarray]
    unsettled: np.ndarray


def settle(texts: pl.Series, rules: Sequence[Rule]) -> Settled:
    """Applies the rules in order, to the texts that changed again and again, at most MAX_PASSES times."""
    changed = {rule.name: np.zeros(len(texts), bool) for rule in rules}
    moving, texts = np.arange(len(texts)), texts.clone()
    for _ in range(MAX_PASSES):
        before = after = texts.gather(moving)
        for rule in rules:
            after, hit = apply(rule, after)
            changed[rule.name][moving[hit]] = True
        texts = texts.scatter(moving, after)
        moving = moving[(before != after).to_numpy()]
        if not moving.size:
            break
    unsettled = np.zeros(len(texts), bool)
    unsettled[moving] = True
    return Settled(texts, changed, unsettled)


def apply(rule: Rule, texts: pl.Series) -> tuple[pl.Series, np.ndarray]:
    """The texts after one rule, and the positions of those that it changed."""
    suspects = texts.str.contains(rule.suspect).arg_true().to_numpy()
    before = texts.gather(suspects)
    after = rule.mend(before)
    hit = (before != after).to_numpy()
    return texts.clone().scatter(suspects[hit], after.filter(hit)), suspects[hit]


def each(mend: Callable[[str], str]) -> Callable[[pl.Series], pl.Series]:
    """A function of one text as a function of a column."""
    return lambda texts: pl.Series(texts.name, [mend(text) for text in texts], dtype=pl.String)


def without(pattern: str) -> Callable[[pl.Series], pl.Series]:
    """Removes what matches a Rust expression."""
    return lambda texts: texts.str.replace_all(pattern, "")


# Without a semicolon only what can be nothing else: "&mdashperfect", but not "AT&T" or "this&notthat".
ENTITY = re.compile(
    r"&(?:amp;)*(#[xX][0-9a-fA-F]{1,8};?|#[0-9]{1,10};?|[A-Za-z][A-Za-z0-9]{1,31};|nbsp|[mn]dash|[lr][sd]quo|hellip"
    r"|(?:amp|quot|copy|reg|trade|[A-Za-z](?:acute|grave|circ|uml|tilde|cedil))(?![A-Za-z0-9=;]))"
)


def decode(text: str) -> str:
    """The text with its entities decoded; numbers 128 to 159 as Windows-1252, as HTML 5 has it."""
    return ENTITY.sub(lambda match: character_of(match[1]), text)


def character_of(entity: str) -> str:
    """The character of an entity, written without its ampersand; an unknown name stays as it is."""
    return html.unescape("&" + entity) if entity[0] == "#" else html5.get(entity.rstrip(";") + ";", "&" + entity)


def repair(text: str) -> str:
    """The text with UTF-8 that was read as another encoding repaired."""
    return fix_c1_controls(ftfy.fix_encoding(text))


def strip_markup(texts: pl.Series) -> pl.Series:
    """The texts without comments, scripts, style rules and tags."""
    texts = texts.str.replace_all(markup.COMMENT, "")
    texts = texts.str.replace_all(markup.SCRIPT, " ").str.replace_all(markup.STYLE_RULE, " ")
    return texts.str.replace_all(markup.BLOCK_TAG, " ").str.replace_all(markup.INLINE_TAG, "")


# An address ends before the punctuation of its sentence, and before a sentence glued to it.
ADDRESS = (
    r"(?i:(?:https?|ftp)://|\bwww\.|\b(?:[\w-]+\.)+(?:com|org|net|edu|gov|uk|de)/)"
    r"(?:(?![.!?]+[A-Z][a-z]{2})[^\s<>\"])*(?<![.,;:!?)\]}'])"
)
URL = re.compile(rf"\s*\(\s*{ADDRESS}\s*\)|\s*<\s*{ADDRESS}\s*>|\s*{ADDRESS}")
MAILBOX = r"@?(?:mailto:)?[\w.+-]+@(?:[\w-]+\.)+(?:com|Com|[a-z]{2,}|[A-Z]{2,})\b"
EMAIL = rf"\s*\(\s*{MAILBOX}\s*\)|\s*<\s*{MAILBOX}\s*>|\s*{MAILBOX}"

EDITION_NOTE = (
    r"[\s–—-]*\bThis\s*text\s*refers\s*to\s*(?:an?|the)\s*[^.!?]{0,60}?"
    r"(?:\s*edition)+(?:\s*of\s*this\s*title)?\s*(?:\.|$)"
)
COPYRIGHT_NOTE = (
    r"\s*Copyright\s*(?:©|\(c\))?\s*(?:\d{4}\s*)?(?:(?:Reed|Cahners)\s+Business\s+Information"
    r"(?:,\s*a\s+division\s+of\s+Reed\s+Elsevier)?,?\s*Inc\.|American\s+Library\s+Association\.?)"
    r"(?:\s*All\s+rights\s+reserved\.?)?"
)
BOILERPLATE = rf"(?i){EDITION_NOTE}|{COPYRIGHT_NOTE}"

# Certain is a word before the mark (in small letters, or a longer one) and a capitalised one, with more text to come,
# after it: "end.The next". Names such as Mt.Fuji, System.Windows.Forms, Amazon.Com and Prof.Smith stay whole.
GLUED = re.compile(
    r"(?<![\w.@/:-])(?!(?:Prof|Capt|Dept|Messrs)\.)"
    r"((?:[a-zß-ÿ][\w'’-]*[a-zß-ÿ]|[\w'’-]*[a-zß-ÿ]{3})\)?[.!?])"
    r"(?=(?!(?:Com|Net|Org|Js)\b)(?:[A-ZÀ-Þ][a-zß-ÿ]+|[AI])(?![\w./@(]|:\S|$))"
)

INVISIBLE = (
    r"[[\p{Cc}\p{Co}\x{ad}\x{200b}\x{200e}\x{200f}\x{202a}-\x{202e}\x{2060}-\x{206f}\x{feff}\x{fff9}-\x{ffff}]"
    r"--[\t\n\x0b\x0c\r\x{85}]]"
)
MOJIBAKE = r"[\x{80}-\x{9f}]|[ÂÃÄÅÎÏÐÑâãäåæîïð][\x{80}-\x{bf}€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|[ÂÃ] "

RULES = (
    Rule("entities", "&", each(decode)),
    Rule("mojibake", MOJIBAKE, each(repair)),
    Rule("controls", INVISIBLE, without(INVISIBLE)),
    Rule("unicode", r"[^\x00-\x7f]", lambda texts: texts.str.normalize("NFC")),
    Rule("markup", r"<[!?/A-Za-z]|;\s*\}", strip_markup),
    Rule("urls", r"(?i)://|www\.|\.[a-z]{2,3}/", each(lambda text: URL.sub("", text))),
    Rule("emails", "@", without(EMAIL)),
    Rule("boilerplate", r"(?i)\bThis\s*text\s*refers|Copyright", without(BOILERPLATE)),
    Rule("glued", r"\p{Ll}\)?[.!?]\p{Lu}", each(lambda text: GLUED.sub(r"\1 ", text))),
    Rule("spaces", r"\s\s|^\s|\s$|[^\S ]", lambda texts: texts.str.replace_all(r"\s+", " ").str.strip_chars()),
)
ASCII_RULES = (
    *RULES[:-1],
    Rule("ascii", r"[^\x00-\x7f]", each(to_ascii)),
    Rule("no_ascii", r"[^\x00-\x7f]", without(r"[^\x00-\x7f]")),
    RULES[-1],
)
