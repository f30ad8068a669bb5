"""The forms in which a trained model is exported: a row of a table for each, from which all else follows.

Covers their names, files and what their rounding explains. Imports nothing heavy, and converts nothing: gguf.py,
k_quants.py, lora.py and merge.py do.
"""

import math
from collections.abc import Collection
from typing import NamedTuple


class Form(NamedTuple):
    """A form and what its rounding explains."""

    name: str
    """In `export.formats` and reports/export.json; of a whole model's GGUF also the system's in evaluate."""
    files: tuple[str, ...]
    """Files and folders in models/export that make it up."""
    label: str
    """What a table calls it."""
    programs: str
    """That it is for."""
    loss: float
    """Nats a token by which it may find the references more or less likely than the adapter does."""
    tie: float | None = None
    """Nats by which the original may prefer its own token where greedy answers first differ: rounding swaps ties. None
    where the loss of every single answer is compared."""
    is_gguf: bool = False
    """Whether it is a GGUF of the whole model, which a Modelfile may take."""


LLAMA_CPP, BOTH = "llama.cpp, Ollama, LM Studio", "llama.cpp, base and tuned model at once"
BASE_GGUF, ADAPTER_GGUF = "base-q8_0.gguf", "shelftalk-lora.gguf"

# A loss of 0.01 nats is a perplexity 1% higher, more than 16 and 8 bits cost; 0.1 nats are 10%, where published models
# of one to eight billion parameters lose 1 to 5% in Q4_K_M. A merge into another base may differ as it will. Of ties,
# the embedded run had up to 0.03 nats in 8 bits and 0.4 in 4; the answers of its base without the adapter are 15 off.
FORMS = (
    Form("adapter", ("adapter",), "LoRA adapter", "peft, on the base", loss=0.0),
    Form("merged", ("merged",), "merged, 16 bits", "transformers, vLLM", loss=0.01),
    Form("merged_16bit", ("merged-16bit",), "merged into the 16-bit base", "transformers, vLLM", loss=math.inf),
    Form("f16", ("shelftalk-f16.gguf",), "GGUF, 16 bits", LLAMA_CPP, loss=0.01, tie=0.02, is_gguf=True),
    Form("q8_0", ("shelftalk-q8_0.gguf",), "GGUF, 8 bits", LLAMA_CPP, loss=0.02, tie=0.3, is_gguf=True),
    Form("q4_k_m", ("shelftalk-q4_k_m.gguf",), "GGUF, 4 bits (Q4_K_M)", LLAMA_CPP, loss=0.1, tie=2.0, is_gguf=True),
    Form("lora", (BASE_GGUF, ADAPTER_GGUF), "GGUF of the base, 8 bits, and of the adapter", BOTH, loss=0.02, tie=0.3),
)
BY_NAME = {form.name: form for form in FORMS}
REFERENCE = "f16"  # what the others are compared with; written and checked even where it is not kept


def kept_forms(formats: Collection[str]) -> list[Form]:
    """The forms that are kept in models/export, in the order of the table.

    Args:
        formats: export.formats.
    """
    return [form for form in FORMS if form.name in {"adapter", *formats}]


def chosen_ggufs(formats: Collection[str]) -> list[Form]:
    """The GGUF files of the whole model among the forms that are kept, the largest first.

    Args:
        formats: export.formats.
    """
    return [form for form in kept_forms(formats) if form.is_gguf]
