"""Asks the exported model for the description of a title, by llama.cpp, as the Modelfile makes Ollama ask it.

Covers one title on the command line and its answer, alone, on the standard output. The prompt is the trained one, from
the Modelfile's template; the answer is drawn as in the evaluation. Loads no torch, so that it starts at once.

    python -m src.export.ask "Oak Desk Lamp, 30 cm"
    python -m src.export.ask --precision f16 "Oak Desk Lamp, 30 cm"
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from src.errors import UserError
from src.export import refusals
from src.export.forms import FORMS
from src.export.modelfile import read_modelfile
from src.inference.llama_cpp import CONTEXT, LlamaCppEngine
from src.prompts.ollama import fill_template

EXPORT = Path("models/export")
FILES = {form.name: form.files[0] for form in FORMS if form.is_gguf}


def ask(title: str, precision: str | None = None) -> Iterator[str]:
    """Pieces of the exported model's answer, each as soon as it is there.

    Args:
        title: a product's.
        precision: one of FILES; None takes the file that the Modelfile names.

    Raises:
        UserError: if there is no export, no title, or one too long for the context.
    """
    if not title.strip():
        raise refusals.empty_title()
    modelfile = read_modelfile(existing(EXPORT / "Modelfile").read_text(encoding="utf-8"))
    engine = LlamaCppEngine(existing(EXPORT / (FILES[precision] if precision else modelfile.gguf)))
    prompt = fill_template(modelfile.template, modelfile.instruction, title.strip())
    refusals.refuse_long_title(len(engine.token_ids(prompt)), modelfile.sampling.max_new_tokens, CONTEXT)
    yield from engine.stream(prompt, modelfile.sampling)


def existing(path: Path) -> Path:
    """The path of a file that is there.

    Raises:
        UserError: if it is not.
    """
    if not path.is_file():
        raise refusals.missing_export(path)
    return path


def main() -> None:
    """Prints the answer while it is written."""
    parser = argparse.ArgumentParser(prog="python -m src.export.ask", description="Describes a product from its title.")
    parser.add_argument("title", help="the product's title")
    parser.add_argument("--precision", choices=FILES, help="the GGUF that answers; by default the Modelfile's")
    arguments = parser.parse_args()
    try:
        for piece in ask(arguments.title, arguments.precision):
            print(piece, end="", flush=True)
        print()
    except UserError as error:
        sys.exit(f"ask: {error}")
    except KeyboardInterrupt:
        sys.exit("\nask: interrupted.")


if __name__ == "__main__":
    main()
