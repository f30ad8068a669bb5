"""The base model as an immutable input: fetched from a hub at a pinned revision, or copied from a local folder.

Covers the files alone, safetensors and never code. Does not build the tiny model: src/synthetic/ does.
"""

import shutil
from pathlib import Path

from src.errors import UserError

WANTED = ["*.json", "*.safetensors", "*.jinja", "tokenizer.model", "LICENSE*", "USE_POLICY*"]


def download_model(repository: str, revision: str, folder: Path) -> None:
    """Fetches a repository's configuration, tokenizer and safetensors at a commit.

    Args:
        repository: owner/name on the hub.
        revision: a commit's hash.
        folder: an existing folder to write to.

    Raises:
        UserError: if the hub cannot be reached, or has no such repository or commit.
    """
    from httpx import HTTPError
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        copy_model(Path(snapshot_download(repository, revision=revision, allow_patterns=WANTED)), folder)
    except HfHubHTTPError as error:
        raise UserError(
            f"base.repository {repository!r} at base.revision {revision!r} was refused by the hub "
            f"({error.response.status_code}): check both, and log in with `hf auth login` if the model is gated."
        ) from error
    except HFValidationError as error:
        raise UserError(
            f"base.repository is {repository!r}, which is no repository's name: write owner/name."
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HTTPError, ConnectionError) as error:
        raise UserError(
            f"base.repository is {repository!r}, and the hub cannot be reached from here: check the network, "
            "or set base.source to local with base.folder, or to tiny."
        ) from error


def copy_model(source: Path, folder: Path) -> None:
    """Copies a model's configuration, tokenizer and safetensors.

    Args:
        source: the model's folder.
        folder: an existing folder to write to.

    Raises:
        UserError: if `source` is no folder.
    """
    if not source.is_dir():
        raise UserError(f"base.folder is '{source}', which is no folder: set it to the folder of a model.")
    for pattern in WANTED:
        for path in source.glob(pattern):
            shutil.copyfile(path, folder / path.name)
