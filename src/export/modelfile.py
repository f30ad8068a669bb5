"""The Modelfile that makes Ollama ask an exported model as it was trained: writing it, and reading it back.

Covers the lines that are written here, no others that Ollama knows. Does not ask anything: ask.py does.
"""

import re
from typing import NamedTuple

from src.export import refusals

# As `render_modelfile` writes it; the stops of Ollama are llama.cpp's own, from the file.
FORM = re.compile(
    r'FROM \./(.*?)\nTEMPLATE """(.*?)"""\nSYSTEM """(.*?)"""\n'
    r"(?:PARAMETER .*\n)*PARAMETER num_predict (\d+)\n",
    re.DOTALL,
)


class Modelfile(NamedTuple):
    """What a Modelfile tells about a model."""

    gguf: str
    """The model's file, beside the Modelfile."""
    template: str
    """The trained prompt as a Go template."""
    instruction: str
    """The system turn."""
    max_new_tokens: int
    """The longest answer."""


def render_modelfile(gguf: str, template: str, instruction: str, stops: list[str], max_new_tokens: int) -> str:
    """An Ollama Modelfile.

    Args:
        gguf: the model's file, beside the Modelfile.
        template: the trained prompt as a Go template.
        instruction: the system turn.
        stops: the texts of the stop tokens.
        max_new_tokens: the longest answer. Answers are greedy, as they were evaluated.
    """
    lines = [f"FROM ./{gguf}", f'TEMPLATE """{template}"""', f'SYSTEM """{instruction}"""']
    lines += [f'PARAMETER stop "{stop}"' for stop in stops]
    lines += ["PARAMETER temperature 0", f"PARAMETER num_predict {max_new_tokens}"]
    return "\n".join(lines) + "\n"


def read_modelfile(text: str) -> Modelfile:
    """What a Modelfile holds that `render_modelfile` wrote.

    Raises:
        UserError: if it is another one.
    """
    found = FORM.fullmatch(text)
    if not found:
        raise refusals.other_modelfile()
    return Modelfile(found[1], found[2], found[3], int(found[4]))
