"""The trained prompt as a Go template, the language that Ollama renders prompts in.

Covers the template alone. Does not write the Modelfile around it: src/export/modelfile.py does.
"""

from typing import TYPE_CHECKING

from src.prompts.rendering import prompt_turns
from src.prompts.tokenizers import render_turns, without_bos

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def ollama_template(tokenizer: "PreTrainedTokenizerBase", question: str) -> str:
    """The Go template that makes Ollama render the prompt a model was trained on; the user types the title alone.

    Args:
        tokenizer: with the chat template that the model was trained in.
        question: format.question, which holds {title} once.
    """
    turns = prompt_turns("{{ .System }}", question, "{{ .Prompt }}")
    return without_bos(tokenizer, render_turns(tokenizer, turns, add_generation_prompt=True))
