"""The text rules of cleaning, in order, and how they are applied until a text changes no more.

| rule        | what it does                                                     | why here                            |
|-------------|------------------------------------------------------------------|-------------------------------------|
| entities    | decodes HTML entities, doubly encoded and Windows-1252 ones too  | all below must see the characters   |
| mojibake    | repairs UTF-8 read as Windows-1252, and C1 characters            | needs the C1 characters             |
| controls    | removes control, invisible, private-use and lost characters      | what is left of them means nothing  |
| unicode     | composes to NFC                                                  | one form of a letter for all below  |
| markup      | removes comments, scripts, styles, tags; block tags leave a space| a tag's attributes hold URLs        |
| urls        | removes web addresses that leave no stump (addresses.py)         | before sentences are split at a dot |
| emails      | removes e-mail addresses likewise                                | as above                            |
| boilerplate | removes notes on editions, copyright notes, picture captions     | its words are glued: before glued   |
| glued       | splits sentences glued at their end, where that is certain       | after the rules on texts with dots  |
| ascii       | transliterates (option `clean.ascii`)                            | after rules that read the characters|
| no_ascii    | removes characters without an ASCII form (option `clean.ascii`)  | only those are left                 |
| spaces      | collapses white space, strips the ends                           | closes the gaps that the rest leaves|

To add a rule, add its entry to RULES, and a line in params.yaml and src/params.py to switch it: the counts, the plots
and the examples follow. Does not drop records: filters.py does.

What a rule yields may call for an earlier one: `&lt;b&gt;` becomes a tag. So a text that changed goes through all of
them again, and cleaning twice is cleaning once. No rule is a whitelist of characters.

Most rules have nothing to do on most texts. So each rule first looks for what makes a text suspect, by expressions that
the engine finds at a fraction of a nanosecond a character, and only suspects are transformed. Expressions are in Rust's
syntax: linear in time, and in Polars they leave Python's lock to other threads; only entities and mojibake need Python.
"""

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from html.entities import html5
from itertools import cycle, islice
from operator import or_

import ftfy
import numpy as np
import polars as pl
from ftfy.badness import is_bad
from ftfy.fixes import fix_c1_controls

from src.params import CleanParams
from src.records import addresses, markup
from src.records.transliterate import to_ascii

MAX_PASSES = 12  # a text nested on purpose would take any number
TextPredicate = Callable[[pl.Series], pl.Series]
TextTransform = Callable[[pl.Series], pl.Series]


@dataclass(frozen=True)
class Rule:
    """A rule of cleaning.

    Attributes:
        name: as metrics and plots have it.
        suspect: which texts may need the rule; all others are left alone.
        transform: the suspect texts as they should be.
        shared_switch: the parameter of the section `clean` that switches the rule, where that is another rule's name.
    """

    name: str
    suspect: TextPredicate
    transform: TextTransform
    shared_switch: str | None = None

    @property
    def switch(self) -> str:
        """The parameter of the section `clean` that turns the rule on and off."""
        return self.shared_switch or self.name


@dataclass(frozen=True)
class StableTexts:
    """Texts that rules change no more.

    Attributes:
        texts: the texts after the rules.
        changed: for each rule's name which texts it changed, a boolean each.
        unstable: which texts were still changing after MAX_PASSES, a boolean each.
    """

    texts: pl.Series
    changed: dict[str, np.ndarray]
    unstable: np.ndarray


def apply_until_stable(texts: pl.Series, rules: Sequence[Rule]) -> StableTexts:
    """Applies the rules in order, again and again, to each text until all of them in a row leave it as it is.

    At most MAX_PASSES times. A text that a rule changed needs those before it again, but not those after it once more.

    Args:
        texts: titles or contents.
        rules: in the order in which they are applied.
    """
    changed = {rule.name: np.zeros(len(texts), bool) for rule in rules}
    left_alone = np.zeros(len(texts), int)  # rules in a row that left each text as it was
    texts = texts.clone()  # scatter below would write into the caller's texts
    for rule in islice(cycle(rules), MAX_PASSES * len(rules)):
        moving = np.flatnonzero(left_alone < len(rules))
        if not moving.size:
            break
        where, after = find_changes(rule, texts if moving.size == len(texts) else texts.gather(moving))
        hit = moving[where]
        texts = texts.scatter(hit, after)
        changed[rule.name][hit] = True
        left_alone += 1
        left_alone[hit] = 0
    return StableTexts(texts, changed, left_alone < len(rules))


def apply_rule(rule: Rule, texts: pl.Series) -> tuple[pl.Series, np.ndarray]:
    """The texts after one rule, and the positions of those that it changed.

    Args:
        rule: one of RULES.
        texts: titles or contents.
    """
    changed, after = find_changes(rule, texts)
    return texts.clone().scatter(changed, after), changed


def find_changes(rule: Rule, texts: pl.Series) -> tuple[np.ndarray, pl.Series]:
    """The positions of the texts that a rule changes, and what it makes of them.

    Args:
        rule: one of RULES.
        texts: titles or contents.
    """
    suspects = rule.suspect(texts).arg_true()
    before = texts.gather(suspects)
    after = rule.transform(before) if len(suspects) else before
    hit = before != after
    return suspects.filter(hit).to_numpy(), after.filter(hit)


def contains_any(*patterns: str) -> TextPredicate:
    """Whether any of the expressions (Rust syntax) is found.

    Several short ones: the engine looks for a few characters or words at once 20 times faster than for many.
    """
    return lambda texts: reduce(or_, (texts.str.contains(pattern) for pattern in patterns))


def both(first: TextPredicate, second: TextPredicate) -> TextPredicate:
    """Whether both tests hold; the second one, which may be slow, only sees texts of which the first one holds."""

    def test(texts: pl.Series) -> pl.Series:
        found = first(texts)
        where = found.arg_true()
        return found.scatter(where, second(texts.gather(where)))

    return test


def is_beyond_ascii(texts: pl.Series) -> pl.Series:
    """Whether each text has a character that is not ASCII; most have none."""
    return texts.str.len_bytes() != texts.str.len_chars()


def contains_beyond_ascii(pattern: str) -> TextPredicate:
    """Whether an expression is found in a text that is not ASCII."""
    return both(is_beyond_ascii, contains_any(pattern))


def any_of(*tests: TextPredicate) -> TextPredicate:
    """Whether any of the tests holds."""
    return lambda texts: reduce(or_, (test(texts) for test in tests))


def map_texts(transform: Callable[[str], str]) -> TextTransform:
    """A function of one text as a function of a column."""
    return lambda texts: pl.Series(texts.name, [transform(text) for text in texts], dtype=pl.String)


def replace_all(*replacements: tuple[str, str]) -> TextTransform:
    """Replaces what matches, one expression (Rust syntax) after the other; `$1` stands for its first group."""
    return lambda texts: reduce(lambda replaced, pair: replaced.str.replace_all(*pair), replacements, texts)


# Without a semicolon only what can be nothing else: "&mdashperfect", but not "AT&T" or "this&notthat".
ENTITY = re.compile(
    r"&(?:(?<=[a-z]&)#(?P<oem>[xX]8[1-47-9a-cA-C]|129|13[0-25-9]|140);(?=[a-z])"
    r"|(?:amp;)*(?P<entity>#[xX][0-9a-fA-F]{1,8};?|#[0-9]{1,10};?|[A-Za-z][A-Za-z0-9]{1,31};|nbsp|[mn]dash|[lr][sd]quo"
    r"|hellip|(?:amp|quot|copy|reg|trade|[A-Za-z](?:acute|grave|circ|uml|tilde|cedil))(?![A-Za-z0-9=;])))"
)
# An entity with a space in it: & amp;
SPLIT_ENTITY = r"& +((?:amp|quot|nbsp|lt|gt|apos|reg|trade|deg|[lr][sd]quo|[mn]dash|#[0-9]+);)"
# An entity that was encoded twice and lost its ampersand: 3amp;quot;
LOST_AMPERSAND = r"(^|[^A-Za-z&;])(?:amp;)+(#[0-9]+;|#[xX][0-9a-fA-F]+;|[A-Za-z][A-Za-z0-9]+;)"


def decode_entities(text: str) -> str:
    """The text with its entities decoded; numbers 128 to 159 as Windows-1252, as HTML 5 has it.

    Inside a word of small letters some of these numbers would be marks or capitals, which cannot be there; they are
    letters of code page 850: "caf&#x82;s" is cafés.
    """
    return ENTITY.sub(
        lambda match: code_page_850_letter(match["oem"]) if match["oem"] else entity_character(match["entity"]), text
    )


def code_page_850_letter(number: str) -> str:
    """The letter that has this number, x82 or 130, in code page 850."""
    return bytes([int("0" + number, 16) if number[0] in "xX" else int(number)]).decode("cp850")


@lru_cache(maxsize=1024)
def entity_character(entity: str) -> str:
    """The character of an entity, written without its ampersand; an unknown name stays as it is."""
    return html.unescape("&" + entity) if entity[0] == "#" else html5.get(entity.rstrip(";") + ";", "&" + entity)


def decode_entity_column(texts: pl.Series) -> pl.Series:
    """The texts with their entities decoded, also those that lost their ampersand."""
    return map_texts(decode_entities)(
        texts.str.replace_all(SPLIT_ENTITY, "&$1").str.replace_all(LOST_AMPERSAND, "$1&$2")
    )


LONG_ASCII = re.compile(r"[\x00-\x7f]{7,}")


def repair_mojibake(text: str) -> str:
    """The text with UTF-8 that was read as another encoding repaired, as ftfy does it.

    Nearly all such texts are UTF-8 read as Windows-1252 and nothing else; ftfy, which tries ten encodings and searches
    the whole text for signs of each, takes ten times as long to find that.
    """
    try:
        decoded = text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return fix_c1_controls(ftfy.fix_encoding(text))
    if looks_wrong(text) and not looks_wrong(decoded):
        return decoded
    return fix_c1_controls(ftfy.fix_encoding(text))


def looks_wrong(text: str) -> bool:
    """Whether ftfy finds mojibake in a text.

    Its signs are characters beyond ASCII and at most two others on either side: the middle of ASCII does not matter.
    """
    return is_bad(LONG_ASCII.sub(lambda run: run[0][:3] + run[0][-3:], text))


EDITION_NOTE = (
    r"(?i:[\s–—-]*(?-u:\b)This\s*text\s*refers\s*to\s*(?:an?|the)\s*[^.!?]{0,60}?"
    r"(?:\s*edition)+(?:\s*of\s*this\s*title)?\s*(?:\.|$))"
)
COPYRIGHT_NOTE = (
    r"(?i:\s*Copyright\s*(?:©|\(c\))?\s*(?:\d{4}\s*)?(?:(?:Reed|Cahners)\s+Business\s+Information"
    r"(?:,\s*a\s+division\s+of\s+Reed\s+Elsevier)?,?\s*Inc\.|American\s+Library\s+Association\.?)"
    r"(?:\s*All\s+rights\s+reserved\.?)?)"
)
# The caption below a picture, where it is between two sentences, in brackets, or glued to what precedes.
CAPTION = r"[Vv]iew\s+larger(?:\s+image)?\.?"
BOILERPLATE = (
    (rf"{EDITION_NOTE}|{COPYRIGHT_NOTE}|\s*\(\s*[Vv]iew\s+[Ll]arger(?:\s+[Ii]mage)?\.?\s*\)", ""),
    (rf"(^|[.!?][\x22”)]?)(?:\s*{CAPTION})+(?:\s*$|\s*([A-ZÀ-Þ]))", "$1 $2"),
    (r"([a-z0-9.!?)])View\s+Larger(?:\s*$|\s+([A-ZÀ-Þ]))", "$1 $2"),
)

# A sentence's end is certain after a word (of small letters, or with three of them last), after its bracket or its
# quotation mark, and after a number, if a sentence's first word and more text follow: "end.The next". Names such as
# Mt.Fuji, System.Windows.Forms, Amazon.Com stay whole. After any other word, very common words and capitals show it.
WORD = r"(?:[a-zß-ÿ][\w'’-]*[a-zß-ÿ]|[\w'’-]*[a-zß-ÿ]{3}|[\w'’]+-[\w'’-]*[a-zß-ÿ]{2})"
WORD_END = rf"(?:^|[^\w.@/:-]){WORD}(?:\)?[.!?]|[.!?][)”])"
QUOTE_END = r"(?:^|[\s(])\x22[^\s\x22][^\x22]*[a-zß-ÿ]{2}[.!?]\x22"
NUMBER_END = r"(?:^|[\s/])[0-9][0-9/]*\."
STARTER = "The|This|These|Those|There|They|With|When|And|But|For|From|You|Your|Our|She|Each|Made|Includes|Please"
GLUED = (
    (rf"({WORD_END}|{QUOTE_END}|{NUMBER_END}|\w\)[.!?])(“?{addresses.OPENING}(?:[^\w./@(:]|:\s))", "$1 $2"),
    (rf"(\w[\w)”][.!?])((?:{STARTER})\s)", "$1 $2"),
    (r"([a-zß-ÿ]{3}\)?[.!?])([A-Z]{4,}[:!]|[A-Z]{5,}\s|[A-Z]{2,}\s[A-Z]{2,}\s|[A-Z]-[A-Z]\s)", "$1 $2"),
    (rf"([a-zß-ÿ]{{3}}\)?[.!?])((?:{addresses.THREE_CAPITALS})[\s,])", "$1 $2"),
    (rf"([\w)])\s+\.((?:{addresses.OPENING}|[A-Z]-[A-Z])\s)", "$1. $2"),  # a full stop on the wrong side of the space
)

SPACES = r"[\t-\r\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]"
INVISIBLE = (
    r"[[\p{Cc}\p{Co}\x{ad}\x{200b}\x{200e}\x{200f}\x{202a}-\x{202e}\x{2060}-\x{206f}\x{feff}\x{fff9}-\x{ffff}]"
    r"--[\t\n\x0b\x0c\r\x{85}]]"
)
# U+FFFD stands for a character that was lost. In a contraction that was an apostrophe; inside a word or between two it
# leaves a space, since without one they would be another word: SELF�is.
CONTRACTION = (
    r"(?i)\b((?:ai|are|ca|could|did|do|does|had|has|have|is|might|must|need|should|was|were|wo|would)n)\x{fffd}+(t)\b|"
    r"\b(i)\x{fffd}+(m|ve|ll|d)\b|\b(he|she|it|that|there|who|what|where|here|how|let|one)\x{fffd}+(s)\b|"
    r"\b(we|you|they)\x{fffd}+(re|ve|ll|d)\b|\b(he|she|it|that|there|who)\x{fffd}+(ll|d)\b|"
    r"\b(could|might|must|should|who|would)\x{fffd}+(ve)\b"
)
LOST_CHARACTER = (
    (CONTRACTION, "$1$3$5$7$9$11'$2$4$6$8$10$12"),
    *2 * ((r"([^\s(\[{/\x22\x{fffd}-])\x{fffd}+([^\s.,;:!?)\]}/\x22\x{fffd}-])", "$1 $2"),),  # twice: a�b�c shares b
)
MOJIBAKE = r"[\x{80}-\x{9f}]|[ÂÃÄÅÌÍÎÏÐÑâãäåæîïð][\x{80}-\x{bf}€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|[ÂÃ] "
# NFC leaves Latin letters, punctuation and currency signs as they are.
MAYBE_NOT_NFC = r"[\x{300}-\x{2001}\x{20d0}-\x{10ffff}]"
NOT_ASCII = r"[^\x00-\x7f]"

# Has a name, since a filter decodes titles with it, too.
ENTITIES = Rule(
    "entities",
    both(contains_any("[&;]"), contains_any("&[#A-Za-z]", "amp;[#A-Za-z]", "& +[#a-z]+;")),
    decode_entity_column,
)
RULES = (
    ENTITIES,
    Rule("mojibake", contains_beyond_ascii(MOJIBAKE), map_texts(repair_mojibake)),
    Rule(
        "controls",
        any_of(contains_any(r"[\x00-\x08]", r"[\x0e-\x16]", r"[\x17-\x1f]", r"\x7f"), contains_beyond_ascii(INVISIBLE)),
        replace_all(*LOST_CHARACTER, (INVISIBLE, "")),
    ),
    Rule("unicode", contains_beyond_ascii(MAYBE_NOT_NFC), lambda texts: texts.str.normalize("NFC")),
    Rule("markup", both(contains_any(markup.SIGNS), contains_any(*markup.SUSPECT)), replace_all(*markup.REMOVED)),
    Rule(
        "urls",
        any_of(
            contains_any(r"(?i-u:www\.)"),
            both(contains_any("/"), contains_any("://", r"(?i-u:\.(?:com|org|net|edu|gov|uk|de)/)")),
        ),
        replace_all(*addresses.URLS),
    ),
    Rule("emails", contains_any("@"), replace_all(*addresses.EMAILS)),
    Rule("boilerplate", contains_any("(?i-u:refers)", "(?i-u:copyright)", "iew [Ll]arger"), replace_all(*BOILERPLATE)),
    Rule(
        "glued",
        any_of(contains_any(r"[.!?][)\x22]?[A-Z]"), contains_beyond_ascii(r"[.!?][)\x22”]?“?[A-ZÀ-Þ]")),
        replace_all(*GLUED),
    ),
    Rule("ascii", contains_beyond_ascii(NOT_ASCII), to_ascii),
    Rule("no_ascii", contains_beyond_ascii(NOT_ASCII), replace_all((NOT_ASCII, "")), shared_switch="ascii"),
    Rule(
        "spaces",
        any_of(contains_any("  ", r"[\t-\r]", r"\A\s", r"\s\z"), contains_beyond_ascii(SPACES)),
        lambda texts: texts.str.replace_all(rf"\s\s+|{SPACES}", " ").str.strip_chars(),
    ),
)


def enabled_rules(clean: CleanParams) -> tuple[Rule, ...]:
    """The rules that the section `clean` switches on, in their order."""
    return tuple(rule for rule in RULES if getattr(clean, rule.switch))
