"""Refuses a base model before it is trained whose fine-tuned model could not be exported.

Covers what follows from the base's tokenizer and its template: that llama.cpp's converter can write its vocabulary, and
that a Modelfile can hold its prompt. Every export has a GGUF and a Modelfile. Loads no weights; the base stage has
refused architectures that are not known, and the export stage looks at the files themselves.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

from src.errors import UserError
from src.export import refusals, vocabulary
from src.export.gguf import converter_class
from src.export.modelfile import render_modelfile
from src.inference.engine import Sampling
from src.params import FormatParams
from src.prompts.ollama import fill_template, ollama_template
from src.prompts.rendering import prompt_turns
from src.prompts.tokenizer_files import save_tokenizer
from src.prompts.tokenizers import render_turns, stop_texts, without_bos

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

CONFIG = "config.json"


def check_vocabulary(base: Path, tokenizer: "PreTrainedTokenizerBase") -> None:
    """Makes sure that llama.cpp's converter can write the base's vocabulary.

    The converter is asked only where the tokenizer's split is not known here: it takes seconds to load.

    Args:
        base: the model's folder, of which the configuration is read.
        tokenizer: the base's.

    Raises:
        UserError: if it cannot.
    """
    if vocabulary.split_expression(cast("PreTrainedTokenizerFast", tokenizer)) in vocabulary.SPLITS:
        return
    from gguf import LlamaFileType

    with TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copyfile(base / CONFIG, folder / CONFIG)  # without weights: the vocabulary alone is asked for
        save_tokenizer(tokenizer, folder)
        converter = converter_class(folder)(folder, LlamaFileType.MOSTLY_F16, folder / "vocabulary.gguf")
        try:
            converter.set_vocab()
        except UserError:
            raise
        except Exception as error:  # the converter's many readers raise anything on a tokenizer of another kind
            raise refusals.unknown_vocabulary(f"{type(error).__name__}: {error}") from None


def check_modelfile(tokenizer: "PreTrainedTokenizerBase", asked: FormatParams, titles: Iterable[str]) -> None:
    """Makes sure that a Modelfile can make Ollama ask as training does.

    Args:
        tokenizer: the base's, with the chat template.
        asked: the instruction and the question.
        titles: to try it with; Ollama asks nothing where one is empty.

    Raises:
        UserError: if the Modelfile cannot hold the prompt, or renders another one.
    """
    template, instruction = ollama_template(tokenizer, asked.question), asked.instruction.strip()
    render_modelfile("model.gguf", template, instruction, stop_texts(tokenizer), Sampling(1))
    for title in filter(None, map(str.strip, titles)):
        turns = prompt_turns(instruction, asked.question, title)
        trained = without_bos(tokenizer, render_turns(tokenizer, turns, add_generation_prompt=True))
        refusals.refuse_other_template(fill_template(template, instruction, title), trained)
