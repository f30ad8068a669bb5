"""The Modelfile that makes Ollama ask an exported model as it was trained: writing it, and reading it back.

Covers the lines that are written here, no others that Ollama knows. Does not ask anything: src/serving does.
"""

import re
from typing import NamedTuple

from src.export import refusals
from src.inference.engine import Sampling

# As `render_modelfile` writes it; the stops of Ollama are llama.cpp's own, from the file.
FORM = re.compile(
    r'FROM \./(.*?)\nTEMPLATE """(.*?)"""\nSYSTEM """(.*?)"""\n'
    r'(?:PARAMETER stop "[^\n]*"\n)*'
    r"PARAMETER num_predict (\d+)\nPARAMETER temperature (\S+)\nPARAMETER top_k (\d+)\nPARAMETER top_p (\S+)\n"
    r"PARAMETER min_p 0\nPARAMETER repeat_penalty (\S+)\nPARAMETER repeat_last_n -1\n",
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
    sampling: Sampling
    """How its answers are drawn."""


def render_modelfile(gguf: str, template: str, instruction: str, stops: list[str], sampling: Sampling) -> str:
    """An Ollama Modelfile.

    Args:
        gguf: the model's file, beside the Modelfile.
        template: the trained prompt as a Go template.
        instruction: the system turn.
        stops: the texts of the stop tokens.
        sampling: how the evaluated answers were drawn.
    """
    lines = [f"FROM ./{gguf}", f'TEMPLATE """{template}"""', f'SYSTEM """{instruction}"""']
    lines += [f'PARAMETER stop "{stop}"' for stop in stops]
    # All of them: Ollama's own defaults penalise repetition, in greedy answers too, and leave out unlikely tokens.
    parameters = {
        "num_predict": sampling.max_new_tokens,
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": 0,
        "repeat_penalty": sampling.repetition_penalty,
        "repeat_last_n": -1,  # all tokens of prompt and answer
    }
    lines += [f"PARAMETER {name} {value}" for name, value in parameters.items()]
    return "\n".join(lines) + "\n"


def read_modelfile(text: str) -> Modelfile:
    """What a Modelfile holds that `render_modelfile` wrote.

    Raises:
        UserError: if it is another one.
    """
    found = FORM.fullmatch(text)
    if not found:
        raise refusals.other_modelfile()
    length, temperature, top_k, top_p, penalty = found.groups()[3:]
    sampling = Sampling(int(length), float(temperature), int(top_k), float(top_p), float(penalty))
    return Modelfile(found[1], found[2], found[3], sampling)
