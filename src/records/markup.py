"""Regular expressions (Rust syntax) for the HTML that product texts hold.

Covers the elements that HTML names, namespaced ones such as Word's `<o:p>`, comments, scripts, style rules, tags that
a truncated text leaves open or that lost a sign (`included:/b>`), and special tokens of language models such as
`<|eot_id|>`. All else in angle brackets is text: `a < b`, `<3`, `<2W`; so is what may be one: `Menu> Options`.
"""

BLOCKS = (
    "address|article|aside|blockquote|body|br|caption|center|col|colgroup|dd|div|dl|dt|fieldset|figcaption|figure|footer|"
    "form|frame|frameset|h[1-6]|head|header|hr|html|iframe|legend|li|main|nav|noscript|ol|option|p|pre|section|select|"
    "table|tbody|td|textarea|tfoot|th|thead|title|tr|ul|video"
)
INLINES = (
    "a|abbr|acronym|b|base|bdo|big|button|cite|code|del|dfn|em|embed|font|i|img|input|ins|kbd|label|link|map|mark|meta|"
    r"nobr|object|param|q|s|samp|small|source|span|strike|strong|sub|sup|tt|u|var|wbr|[a-z]\w*:\w+"
)
# A tag's text may hold ">" in quotes. A name of one letter has attributes with values: "x <a and b> y" is no tag.
ATTRIBUTES = r"""(?:\s(?:[^<>"']|"[^"<]*"|'[^'<]*')*|\s[^<>]*)?"""
LETTER = r"""</?[abipqsu](?:\s+[\w-]+\s*=(?:[^<>"']|"[^"<]*"|'[^'<]*')*|\s+[\w-]+\s*=[^<>]*)?\s*/?>"""
NO_WORDS = "br|li|ul|ol|td|tr|div|span|tbody|hr|strong"  # what is a tag even where it lost a sign
OPEN_END = rf"""<(?:{BLOCKS}|{INLINES})\s+[\w-]+\s*=\s*["'][^<>]*$|<(?:br|li|ul|ol|td|tr|div|span)/?\s*$"""
# Tags that were damaged: "<ulu>"; "<li. Fits"; "p>The" and "included:/b>", which lost their first sign.
MISSPELT = r"</?(?:ul[ul]|ol[ol]|li[li]|br[br]|tr[tr]|td[td])\s*/?>"
UNCLOSED = r"<(?:br|li|ul|ol|td|tr)(?:[.,](?:\s|$))"
HEADLESS = (
    (rf"(?i)(^|[\s.!?>])(?:{NO_WORDS})\s?/?>", "$1 "),
    (r"(^|[\s.!?>])[abipu]>(\s?[A-ZÀ-Þ][a-zß-ÿ])", "$1 $2"),
    (rf"(?i)([\s:.,;!?)\x22]|[a-z]{{3}})/(?:{NO_WORDS}|em|font|[abipu])>(\s|$)", "$1$2"),
)
# An attribute that lost its tag, or the tag's first and last sign: Style="color: red">.
STYLE = r"""(?i:style)\s*=\s*(?:"[^"<>]*:[^"<>]*"|'[^'<>]*:[^'<>]*')(?:\s*/?>)?"""
ATTRIBUTES_ALONE = (rf"(?:span|font|div)\s+{STYLE}", rf"(?-u:\b){STYLE}")

COMMENT = r"(?s)<!--.*?-->"
DECLARATION = r"<!--|<[!?][a-z\[][^<>]*>"  # an open comment too, on its own: as part of COMMENT it takes quadratic time
SCRIPT = r"(?is)<(?:script|style)\b[^<>]*>.*?(?:</(?:script|style)\s*>|$)|</(?:script|style)\s*>"
# What a removed <style> leaves behind; without a semicolon at the end only what is a style beyond doubt.
PROPERTY = r"(?:background|border|color|display|float|font|height|line|list|margin|padding|text|width)[a-z-]*"
DECLARATIONS = rf"(?::[a-z]+)?\s*\{{\s*(?:[a-z-]+\s*:[^{{}};]*;\s*)*{PROPERTY}\s*:[^{{}};]*\}}"
STYLE_RULES = (  # one by one, since the engine finds each by its brace, but not all at once
    r"[\w-]*(?:[.#][\w-]+)?\s*\{\s*(?:[a-z-]+\s*:[^{};]*;\s*)+\}",
    rf"[\w-]*[.#][\w-]+{DECLARATIONS}",
    rf"(?-u:\b)(?:a|p|body|div|span|td|tr|table|ul|li|h[1-6]){DECLARATIONS}",
)


def tag_pattern(names: str) -> str:
    """The expression for opening, closing and empty tags of these elements."""
    several = "|".join(name for name in names.split("|") if len(name) > 1)
    return rf"(?i)</?(?:{several}){ATTRIBUTES}\s*/?>"


BLOCK_TAG = rf"{tag_pattern(BLOCKS)}|(?i:</?p(?:\s[^<>]*=[^<>]*)?\s*/?>)|(?i:{OPEN_END})"
INLINE_TAG = rf"{tag_pattern(INLINES)}|(?i:{LETTER})"

SPECIAL_TOKEN = r"<\|[\w-]+\|>"  # text that a language model's tokenizer reads as one of its own tokens
TAG_END = r"""^([^<]*(?:[^<\d\s]|[A-Za-z]\d+))["']\s*/>\s*$"""  # of a tag that lacks its beginning
TAG_END_OF_INCHES = r"""^([^<]*\d["'])\s*/>\s*$"""  # the quote may mean inches: 24" />
# What goes, one after the other, and what takes its place.
REMOVED = (
    *((SPECIAL_TOKEN, " "), (COMMENT, ""), (DECLARATION, ""), (SCRIPT, " ")),
    *((rule, " ") for rule in STYLE_RULES),
    *((BLOCK_TAG, " "), (INLINE_TAG, ""), (rf"(?i){MISSPELT}|{UNCLOSED}", " "), *HEADLESS),
    *((attribute, " ") for attribute in ATTRIBUTES_ALONE),
    *((TAG_END, "$1"), (TAG_END_OF_INCHES, "$1")),
)
SIGNS = "[<>{}=]"  # all that SUSPECT finds holds one, and that is found in a tenth of the time
SUSPECT = (
    *(r"<[!?/|A-Za-z]|;\s*\}", r"\{\s*[a-z-]+\s*:", r"/>\s*$", r"[A-Za-z]\s?/?>", r"(?i-u:style)\s*=\s*[\x22']"),
)

# Where a scraper looked for a title in the tag of a shop's department, it found the department's name.
DEPARTMENTS = (
    "Appliances|Arts, Crafts & Sewing|Automotive|Baby|Beauty|Books|Camera & Photo|Cell Phones & Accessories|Clothing|"
    "Clothing, Shoes & Jewelry|Computers|Electronics|Everything Else|Gift Cards|Grocery|Grocery & Gourmet Food|"
    "Health & Personal Care|Home|Home & Kitchen|Industrial & Scientific|Jewelry|Kindle Store|Kitchen|Magazines|"
    "Magazine Subscriptions|Movies & TV|Music|Musical Instruments|Office Products|Patio, Lawn & Garden|Pet Supplies|"
    "Shoes|Software|Sports & Outdoors|Tools & Home Improvement|Toys & Games|Video Games|Watches"
)
MARKUP_TITLE = (
    r"(?i)<[a-z]+\s+[\w-]+\s*=|<(?:script|style)\b|getTime\(|^\s*(?:var|function)\s+\w+\s*[=(]|"
    rf"""^\s*(?:{DEPARTMENTS})?\s*["']\s*/?>\s*$"""
)
