"""The exported model, ready to be asked: base and tuned side by side, from one set of weights in llama.cpp.

Covers the two sides, which share quantisation, template and sampler, and the proof that they differ. An app that had
not loaded its adapter once showed the same model twice. Does not search for sources, and speaks no HTTP.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from src.inference.engine import Sampling
from src.inference.llama_cpp import LlamaCppEngine
from src.prompts.rendering import Turns
from src.serving import refusals
from src.serving.note import ADAPTER_GGUF, BASE_GGUF, NAME, read_note

EXPORT = Path("models/export")
Side = Literal["base", "tuned"]
SCALES: dict[Side, float] = {"base": 0.0, "tuned": 1.0}  # of the adapter


class ServedModel:
    """Base and tuned model in one llama.cpp.

    Args:
        folder: of the export.
        slots: answers that are written at once.

    Raises:
        UserError: if there is no export, or base and tuned model find the same tokens equally likely.
    """

    def __init__(self, folder: Path = EXPORT, slots: int = 4) -> None:
        for name in (NAME, BASE_GGUF, ADAPTER_GGUF):
            if not (folder / name).is_file():
                raise refusals.missing_export(folder / name)
        self.note = read_note(folder)
        engine = LlamaCppEngine(folder / BASE_GGUF, folder / ADAPTER_GGUF, slots)
        self.engines: dict[Side, LlamaCppEngine] = {side: engine.at_scale(scale) for side, scale in SCALES.items()}

    def stream(self, turns: Turns, side: Side, sampling: Sampling | None = None) -> Iterator[str]:
        """Pieces of an answer, each as soon as it is there; closed early, it frees its slot.

        Args:
            turns: what is asked.
            side: which model.
            sampling: how the answer is drawn; None as it was evaluated.
        """
        engine = self.engines[side]
        yield from engine.stream(engine.render_prompt(turns), sampling or self.note.sampling)
