"""Why titles are not searched, and models not served, in words."""

from pathlib import Path

from src.errors import UserError


def missing_index(path: Path) -> UserError:
    """There is no index."""
    return UserError(f"{path} is missing: run `dvc repro index`, which makes it from the cleaned records.")


def empty_title() -> UserError:
    """There is nothing to search for."""
    return UserError(
        'TITLE is empty: write a title, or words of one, as in python -m src.serving.search "oak desk lamp".'
    )


def wrong_limit(limit: int, most: int) -> UserError:
    """Another number of hits than the search can give.

    Args:
        limit: what was asked for.
        most: what can be.
    """
    return UserError(f"--limit is {limit}, and must be 1 to {most}: change it.")


def missing_export(path: Path) -> UserError:
    """There is no exported model to serve, or not in this form."""
    return UserError(
        f"{path} is missing: run `make repro`, which trains a model and exports it (export.formats has to hold lora), "
        "then try again."
    )
