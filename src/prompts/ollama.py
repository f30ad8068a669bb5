"""The trained prompt as a Go template, the language that Ollama renders prompts in.

Covers the template, and filling it as Ollama does. Does not write the Modelfile around it: src/export/modelfile.py
does.
"""

import re
from typing import TYPE_CHECKING

from src.modelfile_text import kept_by_ollama
from src.prompts.rendering import prompt_turns
from src.prompts.tokenizers import render_turns, without_bos

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SYSTEM, PROMPT = "{{ .System }}", "{{ .Prompt }}"  # what Ollama fills in a template

# What stands in their places while the chat template renders: characters for private use, which no text has.
MARKS = {"\ue000": SYSTEM, "\ue001": PROMPT}
SYSTEM_MARK, PROMPT_MARK = MARKS

# Text that Go, or the quotes of a Modelfile, would take for something else. Braces even one by one, as an action may
# follow; quotes at either end, beside those around the template.
NO_LITERAL = re.compile(r'\{+|"{3,}|\A"+|"+\Z')
ACTION = re.compile(r'\{\{ (?:\.(?P<name>System|Prompt)|"(?P<text>.*?)") \}\}')  # as they are written here
ESCAPED = re.compile(r"\\U([0-9a-f]{8})")


def ollama_template(tokenizer: "PreTrainedTokenizerBase", question: str) -> str:
    """The Go template that makes Ollama render the prompt a model was trained on; the user types the title alone.

    Args:
        tokenizer: with the chat template that the model was trained in.
        question: format.question, which holds {title} once.
    """
    turns = prompt_turns(SYSTEM_MARK, question, PROMPT_MARK)
    rendered = without_bos(tokenizer, render_turns(tokenizer, turns, add_generation_prompt=True))
    parts = re.split(f"([{SYSTEM_MARK}{PROMPT_MARK}])", rendered)
    return "".join(MARKS.get(part) or go_text(part) for part in parts)


def go_text(text: str) -> str:
    """Text that stands for itself in a Go template, and in the quotes of a Modelfile."""
    escaped = NO_LITERAL.sub(lambda found: go_string(found[0]), text)
    return "".join(character if kept_by_ollama(character) else go_string(character) for character in escaped)


def go_string(text: str) -> str:
    """An action that writes a text, whatever is in it."""
    written = (c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text)
    return f'{{{{ "{"".join(written)}" }}}}'


def fill_template(template: str, instruction: str, title: str) -> str:
    """The prompt for a title, without the begin-of-text token.

    Args:
        template: as `ollama_template` gives it.
        instruction: the system turn.
        title: what the user types, as it is: braces in it mean nothing.
    """

    def fill(found: re.Match[str]) -> str:
        if found["text"] is not None:
            return ESCAPED.sub(lambda code: chr(int(code[1], 16)), found["text"])
        return instruction if found["name"] == "System" else title

    return ACTION.sub(fill, template)
