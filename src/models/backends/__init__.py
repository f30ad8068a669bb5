"""The libraries that can load a model, behind one small interface; `train.backend` names one.

Covers the choice, and the refusal of a backend that cannot run here: there is no silent fall-back.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from src.params import TrainParams


class Backend(Protocol):
    """What a backend module offers."""

    check: Callable[[], None]
    """Raises UserError, before anything is loaded, where the backend cannot run."""

    load_trainable: Callable[[Path, TrainParams], Any]
    """The base model in a folder with a new adapter on it, ready to train."""


def get(name: str) -> Backend:
    """The backend of that name, checked.

    Raises:
        UserError: if it cannot run on this machine.
    """
    backend = cast(Backend, import_module(f"src.models.backends.{name}"))
    backend.check()
    return backend
