"""The exported model, ready to be asked: base and tuned side by side, from one set of weights in llama.cpp.

Covers the two sides, which share quantisation, template and sampler, and the proof that they differ. An app that had
not loaded its adapter once showed the same model twice. Does not search for sources, and speaks no HTTP.
"""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

from src.export.forms import ADAPTER_GGUF, BASE_GGUF
from src.inference.engine import Sampling
from src.inference.llama_cpp import CONTEXT, LlamaCppEngine, Piece
from src.prompts.rendering import Turns
from src.serving import refusals
from src.serving.note import read_note

EXPORT = Path("models/export")
Side = Literal["base", "tuned"]
SIDES: tuple[Side, Side] = ("base", "tuned")
SCALES: dict[Side, float] = {"base": 0.0, "tuned": 1.0}  # of the adapter
FIRST_TOKENS = 20  # of an answer, the likeliest ones, whose log-probabilities are compared
LEAST_DIFFERENCE = 1e-3  # nats; equal weights differ by rounding alone, a trained adapter by whole nats
PROVED_TITLES = 8  # at most, in a second or two each where a model of billions runs on a CPU


class AdapterProof(NamedTuple):
    """What shows that the tuned model is another one than the base."""

    differences: list[float]
    """For each check title, in nats: how far the log-probability of an answer's first token differs at most."""
    norms: dict[str, float]
    """The Frobenius norm of what the adapter adds to the weights of each layer, by llama.cpp's name."""


class ServedModel:
    """Base and tuned model in one llama.cpp, for any number of threads.

    Args:
        folder: of the export.
        slots: answers that are written at once; others wait.

    Raises:
        UserError: if there is no export, or base and tuned model find the same tokens equally likely.
    """

    def __init__(self, folder: Path = EXPORT, slots: int = 4) -> None:
        self.folder, self.note = folder, read_note(folder)
        for name in (BASE_GGUF, ADAPTER_GGUF):
            if not (folder / name).is_file():
                raise refusals.missing_export(folder / name)
        engine = LlamaCppEngine(folder / BASE_GGUF, folder / ADAPTER_GGUF, slots)
        self.engines: dict[Side, LlamaCppEngine] = {side: engine.at_scale(scale) for side, scale in SCALES.items()}
        # As soon as one title tells them apart: all of them are `proof`, which need not be waited for.
        if not any(self.difference(title) > LEAST_DIFFERENCE for title in self.proved_titles):
            raise refusals.equal_sides(folder, len(self.proved_titles))

    def close(self) -> None:
        """Ends all answers and frees the memory; also done when the process ends."""
        self.engines["base"].server.stop()

    @property
    def proved_titles(self) -> list[str]:
        """The titles of the proof."""
        return self.note.check_titles[:PROVED_TITLES]

    @cached_property
    def proof(self) -> AdapterProof:
        """What shows that the sides differ, computed when it is first asked for."""
        differences = [self.difference(title) for title in self.proved_titles]
        return AdapterProof(differences, adapter_norms(self.folder / ADAPTER_GGUF))

    def difference(self, title: str) -> float:
        """How far base and tuned model differ about the first token of a title's answer, in nats, or more."""
        prompt = self.engines["base"].render_prompt(self.note.turns(title))
        base, tuned = (self.engines[side].first_tokens(prompt, FIRST_TOKENS) for side in SCALES)
        # A token that a side does not list is at most as likely as the last one that it lists.
        lowest = min(base.values()), min(tuned.values())
        return max(abs(base.get(token, lowest[0]) - tuned.get(token, lowest[1])) for token in {*base, *tuned})

    def stream(self, turns: Turns, side: Side, sampling: Sampling | None = None) -> Iterator[Piece]:
        """An answer in pieces, each as soon as it is there; closed early, it frees its slot.

        Args:
            turns: what is asked.
            side: which model.
            sampling: how the answer is drawn; None as it was evaluated.

        Returns:
            The pieces; the last one tells how the answer ended, and how many tokens there were.

        Raises:
            UserError: at once if the prompt leaves no room for the answer, or holds special tokens.
        """
        engine, sampling = self.engines[side], sampling or self.note.sampling
        if engine.has_special_tokens("\n".join(turn["content"] for turn in turns)):
            raise refusals.special_tokens()
        prompt = engine.render_prompt(turns)
        refusals.refuse_long_prompt(len(engine.token_ids(prompt)), sampling.max_new_tokens, CONTEXT)
        return engine.stream(prompt, sampling)


def adapter_norms(path: Path) -> dict[str, float]:
    """How much an adapter adds to each layer: the Frobenius norm of alpha / r · B · A, by llama.cpp's name.

    Args:
        path: the GGUF file of the adapter.
    """
    import numpy as np
    from gguf import GGUFReader

    reader = GGUFReader(path)
    alpha = reader.fields["adapter.lora.alpha"].contents()
    matrices = {tensor.name: np.asarray(tensor.data, np.float64) for tensor in reader.tensors}
    norms = {}
    for name, a in matrices.items():
        layer, _, matrix = name.rpartition(".weight.lora_")
        if matrix == "a":
            b = matrices[f"{layer}.weight.lora_b"]
            square = ((b.T @ b) * (a @ a.T)).sum()  # of r × r, where B · A would be as large as the layer
            norms[layer] = float(alpha / len(a) * np.sqrt(max(square, 0.0)))
    return norms
