"""The licence of a base model, as its README declares it to model hubs, kept beside the model.

Covers the keys of the README's metadata that name a licence; what it does not say is not guessed.
"""

from pathlib import Path

from src.files import read_json, write_json

README, LICENCE = "README.md", "declared_license.json"
KEYS = ("license", "license_name", "license_link")  # as the hub spells them


def keep_licence(source: Path, folder: Path) -> None:
    """Writes what a model's README declares as its licence; nothing where it declares none.

    Not the README itself: every stage after the base would run again for another wording.

    Args:
        source: the folder of a model, with its README.
        folder: where the model is copied to.
    """
    if declared := declared_licence(source / README):
        write_json(folder / LICENCE, declared)


def declared_licence(readme: Path) -> dict[str, str]:
    """The licence keys in a README's metadata; none where it cannot be read or has no `license`."""
    from huggingface_hub import metadata_load
    from yaml import YAMLError

    try:
        metadata = metadata_load(readme) or {}
    except (OSError, ValueError, YAMLError):  # somebody else's text, which the model works without
        return {}
    found = {key: metadata[key] for key in KEYS if isinstance(metadata.get(key), str)}
    return found if "license" in found else {}


def kept_licence(folder: Path) -> dict[str, str]:
    """What `keep_licence` wrote into a folder."""
    return read_json(folder / LICENCE) if (folder / LICENCE).exists() else {}
