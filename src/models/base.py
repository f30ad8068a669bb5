"""The base model as an immutable input: fetched from a hub at a pinned revision, or copied from a local folder.

Covers the files alone, safetensors and never code. The embedded tiny model is built by src/embedded/.
"""

import shutil
from pathlib import Path

from src.errors import UserError

WANTED = ["*.json", "*.safetensors", "*.jinja", "tokenizer.model", "LICENSE*", "USE_POLICY*"]


def download(repository: str, revision: str, folder: Path) -> None:
    """Fetches a repository's configuration, tokenizer and safetensors at a commit into `folder`.

    Raises:
        UserError: if the hub cannot be reached, or has no such repository or commit.
    """
    from httpx import HTTPError
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        snapshot_download(repository, revision=revision, local_dir=folder, allow_patterns=WANTED)
    except HfHubHTTPError as error:
        raise UserError(
            f"base.repository {repository!r} at base.revision {revision!r} was refused by the hub "
            f"({error.response.status_code}): check both, and log in with `hf auth login` if the model is gated."
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HTTPError, OSError) as error:
        raise UserError(
            f"base.repository is {repository!r}, and the hub cannot be reached from here: check the network, "
            "or set base.source to local with base.folder, or to tiny."
        ) from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the hub's own notes hold dates


def copy(source: Path, folder: Path) -> None:
    """Copies a model's configuration, tokenizer and safetensors from `source` to `folder`, as links where it can.

    Raises:
        UserError: if `source` is no folder.
    """
    if not source.is_dir():
        raise UserError(f"base.folder is '{source}', which is no folder: set it to the folder of a model.")
    for pattern in WANTED:
        for path in source.glob(pattern):
            shutil.copyfile(path, folder / path.name)


def check(folder: Path) -> None:
    """Refuses a folder that is no complete model.

    Raises:
        UserError: naming what is missing.
    """
    missing = [name for name in ("config.json", "tokenizer.json") if not (folder / name).is_file()]
    if not any(folder.glob("*.safetensors")):
        missing.append("*.safetensors")
    if missing:
        raise UserError(
            f"the base model lacks {', '.join(missing)}: point base.repository or base.folder at a model that is "
            "stored as safetensors with its tokenizer."
        )
