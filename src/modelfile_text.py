"""What the quotes of an Ollama Modelfile can hold: text that Ollama's parser reads as it was written.

Covers the rule alone, for the check of the parameters and for what is written: src/export/modelfile.py writes, and
src/prompts/ollama.py escapes what a template may hold otherwise.
"""


def lost_by_ollama(text: str) -> str | None:
    """What of a text would end the quotes around it, or be left out, in words; None if nothing.

    Ollama's parser ends a text at three quotes, and keeps blanks, ends of lines and what Go's strconv.IsPrint lets
    through.
    """
    if '"""' in text:
        return "three quotes in a row"
    left_out = next((character for character in text if not kept_by_ollama(character)), None)
    return f"the invisible character U+{ord(left_out):04X}" if left_out else None


def kept_by_ollama(character: str) -> bool:
    """Whether Ollama keeps a character that it reads from a Modelfile."""
    return character.isprintable() or character in "\n\r\t"
