"""The text rules: examples of each, and the laws that hold for any text."""

import html
import re
import unicodedata

import ftfy
import polars as pl
import pytest
from ftfy.fixes import fix_c1_controls
from hypothesis import given
from hypothesis import strategies as st

from src.params import CleanParams
from src.records.addresses import LEADING
from src.records.rules import MAX_PASSES, Rule, apply_until_stable, enabled_rules, repair_mojibake
from src.records.rules import RULES as ASCII_RULES

NAMES = tuple(rule.name for rule in ASCII_RULES if rule.name != "no_ascii")
RULES = tuple(rule for rule in ASCII_RULES if rule.switch != "ascii")


def switched(switches: dict[str, bool]) -> tuple[Rule, ...]:
    return enabled_rules(CleanParams.model_construct(None, **switches))


# By rule: a text, and what it becomes when all rules are on.
EXAMPLES = {
    "entities": {
        "Kerr&#8217;s best&#8211;selling": "Kerr’s best–selling",
        "x&#x92;s &#151; &#39;y&#39;": "x’s — 'y'",
        "&amp;amp;quot;owl&amp;amp;quot;": '"owl"',
        "a &" + 30 * "amp;" + "gt; b": "a > b",
        "deep&mdashperfect, AT&T, R&D, this&notthat": "deep—perfect, AT&T, R&D, this&notthat",
        "Black&reg Ink &copy; 2003": "Black® Ink © 2003",
        "3amp;quot; x 1/2amp;#34;, a 20 amp; fuse, lamp;quot;": '3" x 1/2", a 20 amp; fuse, lamp;quot;',
        "caf&#x82;s, cr&#138;me": "cafés, crème",
        "word&#x82; word, &#x82;so&#x91;, wait&#133;what": "word‚ word, ‚so‘, wait…what",
        "&nosuch; AT&amp;T": "&nosuch; AT&T",
        "paint & amp; ink, 3 & quot; & lt;b>x, R & D; lamp": 'paint & ink, 3 " x, R & D; lamp',
    },
    "mojibake": {
        "cafÃ© itâ€™s Â£5": "café it’s £5",
        "don\x92t": "don’t",
        "CreÌ€me": "Crème",
        "naïve Ångström, São, à la carte": "naïve Ångström, São, à la carte",
    },
    "controls": {
        "We�re in, it���s OUT; ISN�T it, I�ll": "We're in, it's OUT; ISN'T it, I'll",
        "SELF�is a�b�c d�cor, 10�20": "SELF is a b c d cor, 10 20",
        "�Owl� (�6� x 2�-3�) they said�. we ï¿½re": "Owl (6 x 2-3) they said. we re",
        "soft\u00adware\u200b \ufeffis\x07 up\x1b": "software is up",
    },
    "unicode": {"cafe\u0301": "café", "10\u212a": "10K"},
    "markup": {
        "Owl<|eot_id|>Lamp <|end_of_text|>": "Owl Lamp",
        "one<br/>two<P CLASS='x'>three</p>": "one two three",
        'H<sub>2</sub>O <a title="a > b" href=x>link</a>': "H2O link",
        "a < b and c > d, I <3 it (uses <2W)": "a < b and c > d, I <3 it (uses <2W)",
        "x <a and b> y": "x <a and b> y",
        "a<!-- .head -->b <script>if (a<b) {}</script>c": "ab c",
        "far. .caption { font-size: 10px; color: red; } Next": "far. Next",
        "&lt;b&gt;bold&lt;/b&gt; &amp;lt;i&amp;gt;x": "bold x",
        '<span class="a-size-medium': "",
        '24 Pencils" />': "24 Pencils",
        '24" />': '24"',
        'Filter RX7121" />': "Filter RX7121",
        "x a.plain {text-decoration: none} y. Set {note: fragile}, v2.5 {beta: yes}": (
            "x y. Set {note: fragile}, v2.5 {beta: yes}"
        ),
        "Wings.<li. Fits all<ulu>One owl Br><br": "Wings. Fits all One owl",
        "p>The owl. b> Keeps. what is included:/b> two": "The owl. Keeps. what is included: two",
        'Style="color: #FF0000; font-size: 2px">Red. span style=" font: a;"*Ink': "Red. *Ink",
        "p>0.05, a/b>1, if a>B, Menu> Options, source code> x, 1> Owl": (
            "p>0.05, a/b>1, if a>B, Menu> Options, source code> x, 1> Owl"
        ),
        'in the Style="Modern">': 'in the Style="Modern">',
    },
    "urls": {
        "Ink. Visit http://x.com/a?b=1&c=2. The site (www.x.com/y) has it, unlike Amazon.com": (
            "Ink. The site has it, unlike Amazon.com"
        ),
        "Templates at http://x.com/a. Rates on www.y.com. Pens, http://z.org": "Templates. Rates. Pens,",
        "Labels at x.com/print.The pack has 5, www.Amazon.Com": "Labels. The pack has 5,",
        "Fast. See x.com/a for a list of phones.3. Light": "Fast. 3. Light",
        "Big. For more details on the app, visit www.x.com": "Big.",
        "Ok. See www.x.com for details. Please visit our web site at www.y.com. Go to x.com/y. New": "Ok. New",
        "For owls, see www.x.com/owls. For all 9 owls, see www.x.com.": "For all 9 owls, see www.x.com.",
        "Safe (see www.x.com). Fast, for details visit www.y.com! Neat; go to z.com/a": "Safe. Fast! Neat",
        "Learn at x.com/print Find a tab here. Fill it : https://y.be/T8 Check our shop at : www.x.com/shop": (
            "Learn. Find a tab here. Fill it. Check our shop"
        ),
        "At the owl park website www.x.com/c-park visitors find owls in nests and at www.y.com.": (
            "At the owl park website visitors find owls in nests."
        ),
        "Owl. Website: www.x.com. The shop, www.y.com, has it": "Owl. The shop, has it",
        "The Walking ...\nwww.x.com/The-Wa... Go": "The Walking ... Go",
        "See www.Owl.Com now": "See www.Owl.Com now",  # nothing can go alone: the sentence needs it
        "For details visit www.OwlWorks.com OwlWorks membership is meant": (
            "For details visit www.OwlWorks.com OwlWorks membership is meant"
        ),
        "Ours, see www.x.com/privacy, unless you write": "Ours, see www.x.com/privacy, unless you write",
        "Ok. See www.x.com for all 12 colours. New": "Ok. See www.x.com for all 12 colours. New",
        "Get www.x.com/a.Html?b now. From <https://z.org> to you": (
            "Get www.x.com/a.Html?b now. From <https://z.org> to you"
        ),
        "At www.x.com, you get more. Courtesy of www.y.com.": "At www.x.com, you get more. Courtesy of www.y.com.",
    },
    "emails": {
        "Owls. Write to <me@x.co.uk>. 3@1.50 each, @home": "Owls. 3@1.50 each, @home",
        "Call us or email at help@x.com. Ask us at help@x.com or call": "Call us. Ask us or call",
        "Questions:info@x.comWe are here. Ask (info@x.com)": "Questions. We are here. Ask",
        "please email to info@x.com your news": "please email to info@x.com your news",
    },
    "boilerplate": {
        "Good.--This text refers to theHardcoveredition.": "Good.",
        "Good. This text refers to an alternate Paperback edition.": "Good.",
        "Good.--This text refers to an out of print or unavailable edition of this title.": "Good.",
        "Good.--This text refers to theAudio Cassetteedition.": "Good.",
        "all.Copyright 1999 Reed Business Information, Inc.": "all.",
        "all.Copyright &copy; American Library Association. All rights reserved": "all.",
        "Copyright law for all": "Copyright law for all",
        "Blue.View larger View larger Red. view larger Mesh": "Blue. Red. Mesh",
        "Ink (View Larger.) Own PC. View largerCreate. One.View Larger  Two": "Ink Own PC. Create. One. Two",
        "Ink (view larger). Paper (View larger image), pens": "Ink. Paper, pens",
        "Quick. View larger. Light. View larger image": "Quick. Light.",
        "Easily View Larger Images. View larger images, I view larger Maps. View Larger Type": (
            "Easily View Larger Images. View larger images, I view larger Maps. View Larger Type"
        ),
    },
    "glued": {
        "the end.The next one.I saw": "the end. The next one. I saw",
        "Mt.Fuji, Amazon.Com, System.Windows.Forms": "Mt.Fuji, Amazon.Com, System.Windows.Forms",
        "the U.S.Government, a.M., John Jr.Smith, index.Html": "the U.S.Government, a.M., John Jr.Smith, index.Html",
        "(ink.)Package of (two).Mesh rack (9).Made in": "(ink.) Package of (two). Mesh rack (9). Made in",
        "he said “go.”Then left.“Please do": "he said “go.” Then left. “Please do",
        'I had "to do it."Eden said "no."': 'I had "to do it." Eden said "no."',
        "2.Wide barrel, 8 1/2.Unit of, v2.5.Beta": "2. Wide barrel, 8 1/2. Unit of, v2.5.Beta",
        "Stoke-on-Sea.Don't go.Zoë is.Air it.Net weight": "Stoke-on-Sea. Don't go. Zoë is. Air it.Net weight",
        "for RFID.With a Box.The USB": "for RFID. With a Box. The USB",
        "it works.J-B Owl is a spool.PLA is, file.PDF is, amazon.COM is": (
            "it works. J-B Owl is a spool. PLA is, file.PDF is, amazon.COM is"
        ),
        "of steel .Made in .NET .Net 4 .18k (9 W) .Each owl": "of steel. Made in .NET .Net 4 .18k (9 W). Each owl",
        "staples.FEATURES: more.BUY NOW for README.TXT": "staples. FEATURES: more. BUY NOW for README.TXT",
    },
    "ascii": {"naïve": "naïve"},
    "spaces": {" a \t\n b\u00a0c\td ": "a b c d"},
    "none": {
        "2-8 years, $5.99, €3, £2, ¥1, 1/2\" x 3', 555-1234": "2-8 years, $5.99, €3, £2, ¥1, 1/2\" x 3', 555-1234"
    },
}


def cleaned(text: str, rules: tuple[Rule, ...] = RULES) -> str:
    return apply_until_stable(pl.Series([text]), rules).texts[0]


def all_but(*names: str) -> tuple[Rule, ...]:
    return switched({name: name not in names for name in NAMES})


@pytest.mark.parametrize("text", [text for examples in EXAMPLES.values() for text in examples])
def test_example(text: str) -> None:
    assert cleaned(text) == {text: right for examples in EXAMPLES.values() for text, right in examples.items()}[text]


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_switched_off_is_not_applied(name: str) -> None:
    text, rest = next(iter(EXAMPLES[name])), {"entities", "ascii", "spaces"} - {name}
    on, off = (
        apply_until_stable(pl.Series([text]), all_but(*rest)),
        apply_until_stable(pl.Series([text]), all_but(name, *rest)),
    )
    assert on.changed[name][0]
    assert name not in off.changed and off.texts[0] != on.texts[0]


def test_no_rule_no_change() -> None:
    text = "".join(text for examples in EXAMPLES.values() for text in examples)
    assert cleaned(text, all_but(*NAMES)) == text


def test_every_rule_has_a_switch() -> None:
    assert switched(dict.fromkeys(NAMES, True)) == ASCII_RULES
    assert all_but("ascii") == RULES
    with pytest.raises(AttributeError, match="glued"):
        switched({name: True for name in NAMES if name != "glued"})


def test_ascii_keeps_the_meaning_and_counts_what_is_lost() -> None:
    texts = pl.Series(["3½ “q” — naïve ≠ straße €5 ™", "Жук owl", "plain"])
    stable = apply_until_stable(texts, ASCII_RULES)
    assert stable.texts.to_list() == ['3 1/2 "q" -- naive != strasse EUR5 (TM)', "owl", "plain"]
    assert stable.changed["no_ascii"].tolist() == [False, True, False]


def test_changes_are_counted_once_a_record_and_the_input_is_left_alone() -> None:
    texts = pl.Series(["&amp;lt;b&amp;gt;", "plain", "a &amp; b"])
    stable = apply_until_stable(texts, RULES)
    assert texts[0] == "&amp;lt;b&amp;gt;"
    assert stable.changed["entities"].tolist() == [True, False, True]
    assert stable.changed["markup"].tolist() == [True, False, False]


def test_what_never_becomes_stable_is_named() -> None:
    assert MAX_PASSES < 40
    nested = "<" * 40 + "b>" * 40
    assert apply_until_stable(pl.Series([nested, "plain"]), RULES).unstable.tolist() == [True, False]


MARKUP_PIECES = (
    "<b>",
    "</p>",
    "<",
    ">",
    "<!--",
    "-->",
    "<br",
    "script>",
    "style>",
    "{a:b;}",
    '" />',
    "＜",
    "p>",
    "/b>",
)
ENTITY_PIECES = ("&", "& ", "amp;", "lt;", "gt;", "#60;", "&#x3c;", "&quot;", "quot;", "&#x82;", "&nbsp;", "&#173;")
ADDRESS_PIECES = (
    *("http://", "www.", "x.com/", "a@b.com", " at ", " on ", "See ", "Visit our site", " for more", ", see ", "(see "),
    *("Website: ", " : ", " or email ", "For owls, ", " Find ", "..."),
)
NOTE_PIECES = ("This text refers to the", "edition.", "Copyright", "American Library Association", "View larger")
SENTENCE_PIECES = (
    "end.The ",
    "Then.",
    "(end.)",
    "“go.”",
    "I.",
    "1.",
    "Made ",
    "NOTE: ",
    "View Larger",
    "(",
    ")",
    "'",
    '"',
)
CHARACTER_PIECES = (
    "Ã©",
    "â€™",
    "Â",
    "\x92",
    "\u00ad",
    "e\u0301",
    "½",
    " ",
    "\n",
    "\u00a0",
    "\x07",
    "é",
    "\u1160",
    "\ufffd",
    "we\ufffdre",
)
pieces = st.sampled_from(
    MARKUP_PIECES + ENTITY_PIECES + ADDRESS_PIECES + NOTE_PIECES + SENTENCE_PIECES + CHARACTER_PIECES
)
texts = st.lists(pieces | st.text(max_size=4), max_size=12).map("".join)
switches = st.fixed_dictionaries({name: st.booleans() for name in NAMES})
rule_sets = st.sampled_from([RULES, ASCII_RULES]) | switches.map(switched)


@given(texts, st.sampled_from(ASCII_RULES))
def test_no_rule_overlooks_a_text_that_it_would_change(text: str, rule: Rule) -> None:
    alone = pl.Series([text])
    assert rule.suspect(alone).item() or rule.transform(alone).item() == text


@given(texts, rule_sets)
def test_cleaning_twice_is_cleaning_once(text: str, rules: tuple[Rule, ...]) -> None:
    once = apply_until_stable(pl.Series([text]), rules)
    if not once.unstable[0]:
        again = apply_until_stable(once.texts, rules)
        assert again.texts[0] == once.texts[0]
        assert not any(changed[0] for changed in again.changed.values())


@given(st.lists(texts, min_size=1, max_size=6), rule_sets)
def test_a_text_is_cleaned_as_if_it_were_alone(batch: list[str], rules: tuple[Rule, ...]) -> None:
    together = apply_until_stable(pl.Series(batch), rules)
    for position, text in enumerate(batch):
        alone = apply_until_stable(pl.Series([text]), rules)
        assert together.texts[position] == alone.texts[0]
        assert together.unstable[position] == alone.unstable[0]
        assert all(together.changed[name][position] == alone.changed[name][0] for name in alone.changed)


def misread(text: str, encoding: str) -> str:
    """The text's UTF-8 read as another encoding; what that has no character for is left out."""
    return text.encode().decode(encoding, "ignore")


signs = st.sampled_from(
    [*"éÉàñßœ’“”–…™€£°½ ²×Øяα√�Âﬁ", "Ã©", "â€™", "Ã ", "\x92", "ASCII of 7+ signs", "of ", "A", "."]
)
some_signs = st.lists(signs, max_size=8).map("".join)
misreadings = st.builds(misread, some_signs, st.sampled_from(["cp1252", "latin-1", "cp1251", "mac-roman"]))


@given(st.lists(some_signs | misreadings | misreadings.map(lambda text: misread(text, "cp1252")), max_size=3))
def test_mojibake_is_repaired_as_ftfy_does_it(parts: list[str]) -> None:
    for text in ("".join(parts), " a longer text between ".join(parts)):
        assert repair_mojibake(text) == fix_c1_controls(ftfy.fix_encoding(text))


@given(st.text(st.characters(exclude_categories=["Cs", "Cn"])))
def test_the_unicode_rule_composes_every_text(text: str) -> None:
    assert cleaned(text, all_but(*set(NAMES) - {"unicode"})) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("number", [*range(0x09), *range(0x0E, 0x20), 0x7F])
def test_no_control_character_survives(number: int) -> None:
    assert cleaned(f"so{chr(number)}ft") == "soft"


@given(st.lists(st.text("abSs1", min_size=1, max_size=4), min_size=2, max_size=6), st.integers(1, 3))
def test_a_lost_character_never_joins_two_words(drawn: list[str], count: int) -> None:
    found = cleaned(("\ufffd" * count).join(drawn))
    assert "\ufffd" not in found
    assert re.split("[ ']", found) == drawn


LEADS = st.sampled_from([lead for lead in LEADING.split("|") if lead != "out"])
ENDS = st.sampled_from(["", ".", " owls live here.", ", unless owls do.", " Find owls."])


@given(LEADS, st.sampled_from(["www.x.com/a", "a@x.com"]), ENDS, st.sampled_from(["We", "Ok. Owls", "for owls,"]))
def test_an_address_leaves_no_stump(lead: str, address: str, end: str, start: str) -> None:
    """Either the address stays with the word that leads to it, or both go."""
    found = cleaned(f"{start} {lead} {address}{end}")
    assert (f" {lead} {address}" in found) or not re.search(rf"\b{lead}\b", found.removesuffix(end))


@given(texts)
def test_no_tag_and_no_entity_survives(text: str) -> None:
    once = apply_until_stable(pl.Series([text]), RULES)
    if not once.unstable[0]:
        assert not re.search(r"</?(?:b|p|br|i|script|style)\s*/?>|<!--", once.texts[0], re.IGNORECASE)
        named = re.findall(r"&(?:#\d{1,10}|#x[0-9a-f]{1,8}|[a-z]{2,6});", once.texts[0], re.IGNORECASE)
        assert all(html.unescape(entity) == entity for entity in named)


words = st.from_regex(
    r"[a-z]{1,6}|[0-9]{1,4}(-[0-9]{1,3})?|[$€£¥][0-9]{1,3}(\.[0-9]{2})?|[a-z]{2,5}['’][a-z]", fullmatch=True
)


@given(st.lists(words, max_size=10))
def test_plain_text_is_left_as_it_is(drawn: list[str]) -> None:
    assert cleaned(" ".join(drawn)) == " ".join(drawn)


@given(st.text(st.sampled_from("aAbT 0123-'’$€£¥,.;:!?()<>&%#/\"“”é"), max_size=40))
def test_no_digit_apostrophe_or_currency_sign_of_plain_text_is_lost(text: str) -> None:
    if not re.search(r"<[/!?a-zA-Z]|&#|\w/", text):
        kept = re.compile(r"[0-9'’$€£¥]|(?<=[0-9])-(?=[0-9])")
        assert kept.findall(cleaned(text)) == kept.findall(text)
