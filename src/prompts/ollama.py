"""The trained prompt as a Go template, the language that Ollama renders prompts in.

Covers the template, and filling it as Ollama does. Does not write the Modelfile around it: src/export/modelfile.py
does.
"""

import re
from typing import TYPE_CHECKING

from src.prompts.rendering import prompt_turns
from src.prompts.tokenizers import render_turns, without_bos

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SYSTEM, PROMPT = "{{ .System }}", "{{ .Prompt }}"  # what Ollama fills in a template


def ollama_template(tokenizer: "PreTrainedTokenizerBase", question: str) -> str:
    """The Go template that makes Ollama render the prompt a model was trained on; the user types the title alone.

    Args:
        tokenizer: with the chat template that the model was trained in.
        question: format.question, which holds {title} once.
    """
    turns = prompt_turns(SYSTEM, question, PROMPT)
    return without_bos(tokenizer, render_turns(tokenizer, turns, add_generation_prompt=True))


def fill_template(template: str, instruction: str, title: str) -> str:
    """The prompt for a title, without the begin-of-text token.

    Args:
        template: as `ollama_template` gives it.
        instruction: the system turn.
        title: what the user types, as it is: braces in it mean nothing.
    """
    filled = {SYSTEM: instruction, PROMPT: title}
    return re.sub("|".join(map(re.escape, filled)), lambda found: filled[found[0]], template)
