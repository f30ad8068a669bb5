"""The libraries that can train a model, behind one small interface; `train.backend` names one.

Covers the choice, and the refusal of a backend that cannot run here: it never falls back to another one.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from src.params import TrainParams

if TYPE_CHECKING:
    from peft import PeftModel


class Backend(Protocol):
    """What a backend module offers."""

    check_supported: Callable[[TrainParams, Path], None]
    """Raises UserError, before anything is loaded, where it cannot train the base model of a folder as asked."""

    load_trainable: "Callable[[Path, TrainParams, str], PeftModel]"
    """The base model in a folder with a new adapter on it and an attention kernel by its name, ready to train."""


def get_backend(train: TrainParams, base: Path) -> Backend:
    """The backend that train.backend names, checked.

    Args:
        train: the parameters of training.
        base: the base model's folder.

    Raises:
        UserError: if it cannot do what `train` asks for on this machine.
    """
    backend = cast(Backend, import_module(f"src.models.backends.{train.backend}"))
    backend.check_supported(train, base)
    return backend
