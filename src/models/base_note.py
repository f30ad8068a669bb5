"""What an adapter's base.json tells of its base: its name, its hash, its licence, and how it was loaded.

Covers collecting it. adapter.py writes it beside the adapter, refusals.py and the model card read it.
"""

from pathlib import Path
from typing import Literal, TypedDict

from src.models.adapter import weights_digest
from src.models.licence import kept_licence
from src.models.loading import compute_dtype, stored_quantisation
from src.params import BaseParams

Quantisation = Literal["nf4", "stored", "none"]


class BaseNote(TypedDict):
    """The base of an adapter, in a form that tells another machine what to load."""

    name: str
    """A hub's repository; of a folder its name and hash, in a form that no hub takes for a repository."""
    revision: str | None
    """The hub's commit."""
    sha256: str
    """Of the weights."""
    quantisation: Quantisation
    """nf4: with double quantisation, made when it is loaded; stored: in 4 bits in its files."""
    dtype: str
    """PyTorch's name of the type that it computed in."""
    licence: dict[str, str]
    """What its README declares, by the hub's keys; empty where nothing is known."""


def describe_base(folder: Path, four_bit: bool, origin: BaseParams | None = None) -> BaseNote:
    """The note of a base model.

    Args:
        folder: where it is.
        four_bit: whether it is trained on in 4 bits.
        origin: where it came from; None where that is the folder.
    """
    digest, hub = weights_digest(folder), origin if origin and origin.source == "hub" else None
    place = Path(origin.folder) if origin else folder
    return BaseNote(
        name=hub.repository if hub else f"{place.resolve().name}@sha256:{digest}",
        revision=hub.revision if hub else None,
        sha256=digest,
        quantisation=how_quantised(folder, four_bit),
        dtype=str(compute_dtype()).removeprefix("torch."),
        licence=kept_licence(folder),
    )


def how_quantised(folder: Path, four_bit: bool) -> Quantisation:
    """How a base is held while it is trained on.

    Args:
        folder: where it is.
        four_bit: whether in 4 bits.
    """
    if not four_bit:
        return "none"
    return "stored" if stored_quantisation(folder) else "nf4"
