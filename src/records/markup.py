"""Regular expressions (Rust syntax) for the HTML that product texts hold.

Covers the elements that HTML names, namespaced ones such as Word's `<o:p>`, comments, scripts, style rules, tags that
a truncated text leaves open, and special tokens of language models such as `<|eot_id|>`. All else in angle brackets
is text: `a < b`, `<3`, `<2W`.
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
OPEN_END = rf"""<(?:{BLOCKS}|{INLINES})\s+[\w-]+\s*=\s*["'][^<>]*$"""

COMMENT = r"(?s)<!--.*?-->"
DECLARATION = r"<!--|<[!?][a-z\[][^<>]*>"  # an open comment too, on its own: as part of COMMENT it takes quadratic time
SCRIPT = r"(?is)<(?:script|style)\b[^<>]*>.*?(?:</(?:script|style)\s*>|$)|</(?:script|style)\s*>"
STYLE_RULE = r"[\w-]*(?:[.#][\w-]+)?\s*\{\s*(?:[a-z-]+\s*:[^{};]*;\s*)+\}"  # what a removed <style> leaves behind


def tag_pattern(names: str) -> str:
    """The expression for opening, closing and empty tags of these elements."""
    several = "|".join(name for name in names.split("|") if len(name) > 1)
    return rf"(?i)</?(?:{several}){ATTRIBUTES}\s*/?>"


BLOCK_TAG = rf"{tag_pattern(BLOCKS)}|(?i:</?p(?:\s[^<>]*=[^<>]*)?\s*/?>)|(?i:{OPEN_END})"
INLINE_TAG = rf"{tag_pattern(INLINES)}|(?i:{LETTER})"

SPECIAL_TOKEN = r"<\|[\w-]+\|>"  # text that a language model's tokenizer reads as one of its own tokens
TAG_END = r"""^([^<]*[^<\d\s])["']\s*/>\s*$"""  # of a tag that lacks its beginning
# What goes, one after the other, and what takes its place.
REMOVED = (
    *((SPECIAL_TOKEN, " "), (COMMENT, ""), (DECLARATION, ""), (SCRIPT, " "), (STYLE_RULE, " ")),
    *((BLOCK_TAG, " "), (INLINE_TAG, ""), (TAG_END, "$1")),
)

MARKUP_TITLE = r"(?i)<[a-z]+\s+[\w-]+\s*=|<(?:script|style)\b|getTime\(|^\s*(?:var|function)\s+\w+\s*[=(]"
