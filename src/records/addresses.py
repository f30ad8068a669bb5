"""Regular expressions (Rust syntax) for addresses of the web and of e-mail, and for what goes together with one.

An address leaves no stump: it goes with the sentence that only points to it, with its brackets, its label or its "at".
Where a sentence goes on behind it and needs it ("see www.x.com/privacy, unless"), it stays. Covers the words that open
a sentence, too, by which an address ends that a sentence is glued to.
"""


def three_letter_words_except(words: str, small: str = "a-zß-ÿ") -> str:
    """An expression for words of three letters other than these (Rust's have no look-ahead).

    Args:
        words: with a capital first, or in capitals.
        small: the letters that may follow the first one, as a class's content.
    """
    starts = sorted({word[:length] for word in words.split() for length in (0, 1, 2)})
    following = {start: {word[len(start)] for word in words.split() if word.startswith(start)} for start in starts}
    return "|".join(
        f"{start}[[{small if start else 'A-ZÀ-Þ'}]--[{''.join(sorted(letters))}]][{small}]{{{2 - len(start)}}}"
        for start, letters in following.items()
    )


# A word that begins a sentence. A word of two letters has to be common, and one of three must not be the ending of a
# site, a file or a firm: Amazon.Com.
FILES = "Avi Cdr Csv Doc Dwg Dxf Eps Iso Log Mdb Mov Mpg Ppt Psd Rar Rtf Stl Svg Sys Tif Tmp Wav"
TWO_LETTERS = "Ah|An|As|At|Be|By|Do|Go|He|If|In|Is|It|My|No|Of|Oh|On|Or|So|To|Up|Us|We"
ENDINGS = "Com Net Org Edu Gov Biz Exe Dll Bat Ini Pdf Txt Doc Xls Gif Jpg Png Bmp Zip Htm Php Asp Xml Css Inc Ltd Llc"
THREE_CAPITALS = three_letter_words_except(f"{ENDINGS} {FILES}".upper(), "A-Z")  # PLA, but not README.TXT
OPENING = rf"(?:[A-ZÀ-Þ][a-zß-ÿ]{{3,}}|{three_letter_words_except(ENDINGS)}|{TWO_LETTERS}|A|I)"
# The first word of a sentence, and what follows it: Amazon's, but not AmazonBasics.
NEXT_SENTENCE = rf"{OPENING}[\s,'’]"

# An address ends before the punctuation of its sentence, and before a sentence glued to it. An ellipsis is where a
# scraper cut it off.
ADDRESS_START = (
    r"(?:(?i-u:https?|ftp)://|(?-u:\b)(?i-u:www)\.[\w-]|"
    r"(?-u:\b)(?:[\w-]+\.)+(?i-u:com|org|net|edu|gov|uk|de)/)"
)
GLUED_ADDRESS = rf"({ADDRESS_START}[^\s<>\x22]*?[.!?])({OPENING}[\s,])"
BARE_ADDRESS = rf"{ADDRESS_START}(?:[^\s<>\x22]*[^\s<>\x22.,:;!?)\]}}'…])?(?:\.{{3}}|…)?"
MAILBOX = r"@?(?:mailto:)?[\w.+-]+@(?:[\w-]+\.)+(?:com|Com|[a-z]{2,}|[A-Z]{2,})(?-u:\b)"
GLUED_MAILBOX = rf"([\w.+-]+@(?:[\w-]+\.)+(?:com|net|org|edu|gov|uk|de))\.?({OPENING}[\s,'’])"

VERB = (
    r"(?:see|visit|go\s+to|check\s+out|log\s+on\s+to|(?:contact|e-?mail)(?:\s+us)?|write(?:\s+to)?(?:\s+us)?)"
    r"(?:\s+(?:us|(?:our|the|my|his|her|their)(?:\s+official)?\s+(?:web\s?site|site|web\s?page|home\s?page)))?"
    r"(?:\s+(?:at|on|to))?\s*:?"
)
PURPOSE = r"for\s+(?:more\s+|further\s+|additional\s+|full\s+)?(?:information|info|details)"
LABEL = r"(?:web\s?site|web\s?page|web|home\s?page|url|link|e-?mail)(?:\s+address)?"
CONDITION = "For|To|If|When|While|As|In|On|With|Before|After"  # opens a clause that is no sentence without the next one
# Words that a sentence does not stand on without what they lead to.
LEADING = (
    "see|visit|view|to|from|of|for|by|with|on|in|into|at|via|through|than|as|like|is|are|was|and|or|but|not|the|a|an|our|"
    "your|this|use|using|check|out|find|get|go|try|join|browse|contact|email|e-mail|mail|write|buy|order|download|"
    "access|read|click|enter|type|called|named|including|if|when|that|which|where"
)


def removals(bare: str) -> tuple[tuple[str, str], ...]:
    """What goes with an address, one expression after the other, and what takes its place.

    Args:
        bare: the expression of an address on its own.
    """
    address = rf"(?:\(\s*{bare}\s*\)|<\s*{bare}\s*>|{bare})"
    # A sentence that only tells where to look: "For details see www.x.com.", "Visit our site at www.x.com for more."
    end = r"\s*[.!?](?:\s|$)|\s*$"
    purpose = rf"\s+(?:for|to)\s[^.!?0-9]{{1,80}}(?:{end}|[.!?]([0-9A-ZÀ-Þ]))"
    pointer = (
        rf"(^|[.!?][\x22”)]?)\s*(?i:(?:for\s(?:[^.!?0-9]{{1,80}}?[\s,])??)?\s*(?:please\s+)?{VERB})\s*{address}"
        rf"(?:{purpose}|{end}|\s+({NEXT_SENTENCE}))"
    )
    clause = rf"(?i:(?:(?:and|or|but)\s+)?(?:{PURPOSE},?\s+)?(?:please\s+)?{VERB})\s*{address}"
    needed = rf"(?:^|[.!?]\s)\s*(?:{CONDITION})\s[^.!?]{{0,200}}?[,;]\s*{clause}"
    label = rf"(?i-u:{LABEL})\s*:\s*{address}"
    also = rf"(?i:,?\s+(?:or|and)\s+(?:by\s+)?e-?mail(?:\s+(?:at|to))?\s*:?)\s*{address}"
    place = r"\s+(?:at|AT|via|VIA)\s*:?|\s*:"
    return (
        *2
        * ((pointer, "$1 $2$3"),),  # twice: of two in a row, the first one's full stop is where the second one begins
        (rf"({needed})|\s*\(\s*(?:{clause}|{label})\s*\)|[,;]\s*{clause}(\s*\)|{end})|{also}", "$1$2"),
        (rf"(^|[.!?;,])\s*{label}(?:[.;,](\s|$))?", "$1$2"),
        (rf"([\w)])(?:{place})\s*{address}\s+({NEXT_SENTENCE})", "$1. $2"),
        (rf"(?:,?\s+(?i-u:and|or))?(?:\s+(?:at|AT|via|VIA)\s*:?)\s*{address}", ""),
        (rf"\s+(?i-u:on|from)\s*:?\s*{address}(\s*[.,;:!?)]+(?:\s|$)|\s*$)", "$1"),
        (rf",\s*{address}(\s*[.,;:!?)]+(?:\s|$))", "$1"),
        (rf"((?-u:\b)(?i-u:{LEADING})\s+{address})|\s*:?\s*{address}", "$1"),
    )


URLS = ((GLUED_ADDRESS, "$1 $2"), *removals(BARE_ADDRESS))
EMAILS = ((GLUED_MAILBOX, "$1. $2"), *removals(MAILBOX))
