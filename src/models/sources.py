"""The base model as an immutable input: downloaded from a hub at a pinned revision, or copied from a local folder.

Covers its files, weights as safetensors only: other formats and Python files could run code when they are loaded. Does
not load the model.
"""

import shutil
from pathlib import Path

from src.errors import UserError
from src.fingerprints import hash_file
from src.models.licence import README, keep_licence
from src.models.refusals import changed_model_file
from src.params import BaseParams

MODEL_FILES = ["*.json", "*.safetensors", "*.jinja", "tokenizer.model", "LICENSE*", "USE_POLICY*"]
CHECKSUMS = "SHA256SUMS"  # as sha256sum writes it: a hash and a name a line


def base_origin(base: BaseParams) -> str:
    """Where the base model comes from: a repository at its revision, or a folder."""
    return f"{base.repository}@{base.revision}" if base.source == "hub" else base.folder


def download_model(repository: str, revision: str, folder: Path) -> None:
    """Downloads a model's configuration, tokenizer and safetensors.

    Args:
        repository: owner/name on the hub.
        revision: a commit hash: a branch or tag could change under the same name.
        folder: an existing one.

    Raises:
        UserError: if the hub cannot be reached, or has no such repository or commit.
    """
    from httpx import HTTPError
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        patterns = [*MODEL_FILES, README]
        copy_model(Path(snapshot_download(repository, revision=revision, allow_patterns=patterns)), folder)
    except HfHubHTTPError as error:
        raise UserError(
            f"base.repository {repository!r} at base.revision {revision!r} was refused by the hub "
            f"({error.response.status_code}): check both, and log in with `hf auth login` if the model is gated."
        ) from error
    except HFValidationError as error:
        raise UserError(
            f"base.repository is {repository!r}, which is not the name of a repository: write owner/name."
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HTTPError, ConnectionError) as error:
        raise UserError(
            f"base.repository is {repository!r}, and the hub cannot be reached from here: check the network, "
            "or set base.source to one that needs none (local, with base.folder)."
        ) from error


def copy_model(source: Path, folder: Path) -> None:
    """Copies a model's configuration, tokenizer and safetensors, and what its README declares as its licence.

    Args:
        source: the folder of a model.
        folder: an existing one.

    Raises:
        UserError: if `source` is not a folder, or has checksums that a file does not agree with.
    """
    if not source.is_dir():
        raise UserError(f"base.folder is '{source}', which is not a folder: set it to the folder of a model.")
    if changed := find_changed_file(source):
        raise changed_model_file(changed, CHECKSUMS)
    for pattern in MODEL_FILES:
        for path in source.glob(pattern):
            shutil.copyfile(path, folder / path.name)
    keep_licence(source, folder)


def find_changed_file(folder: Path) -> Path | None:
    """The first file that does not agree with the folder's checksums; None if all do, or if it has none."""
    if not (folder / CHECKSUMS).exists():
        return None
    for line in (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines():
        expected, name = line.split(maxsplit=1)
        if not (folder / name).is_file() or hash_file(folder / name) != expected:
            return folder / name
    return None
