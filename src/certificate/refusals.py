"""Why runs cannot be compared or certified, in a sentence each."""

import sys

from src.errors import UserError


def no_such_run(name: str) -> UserError:
    """The error for a name that looks like a file's, where none is."""
    return UserError(
        f"{name} is no file here: name a certificate, a dvc.lock, or a revision, such as HEAD, main or an experiment."
    )


def no_lock(name: str) -> UserError:
    """The error for a revision without results."""
    return UserError(
        f"{name} has no dvc.lock with stages: nothing was reproduced there. Run `dvc repro`, or name another revision."
    )


def no_certificate(name: str) -> UserError:
    """The error for a file that is neither a certificate nor a dvc.lock."""
    return UserError(
        f"{name} is neither a certificate (`python -m src.certificate write` writes metrics/certificate.json) nor a "
        "dvc.lock: name one of them."
    )


def say_unrecorded(stage: str, error: Exception) -> None:
    """Says that a stage's environment could not be kept: its results are written by now, and worth more.

    Args:
        stage: its name.
        error: why.
    """
    print(f"{stage}: where it was computed is not recorded ({error}).", file=sys.stderr)
