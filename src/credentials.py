"""What looks like a key or a password where none belongs: in params.yaml, and in DVC's configuration that git has.

Covers finding it without ever showing it. What no rule knows is not found: keys belong in the environment.
"""

import re
from collections.abc import Iterator
from configparser import ConfigParser, Error
from pathlib import Path
from typing import Any

CONFIG = Path(".dvc/config")  # in git; .dvc/config.local is not
# A password in an address, a long user that is a token, or a signature; and what services begin their keys with.
ADDRESS = r"://[^\s/@:]*:[^\s/@]+@|://[^\s/@]{20,}@|[?&;](sig|key|api_key|token|access_token|password)="
KEY = (
    r"(?<![A-Za-z0-9])((sk-|hf_|ghp_|gho_|github_pat_|glpat-|xox[abp]-|isat_|AIza)(?=[\w-]*[0-9])[\w-]{20,}"
    r"|(AKIA|ASIA)[A-Z0-9]{16})"
)
CREDENTIAL = re.compile(f"{ADDRESS}|{KEY}", re.ASCII)
# Options of DVC's remotes that hold one; identities, such as user or access_key_id, may be told to the team.
SECRET_OPTIONS = frozenset(
    {
        *("password", "passphrase", "secret_access_key", "session_token", "sse_customer_key", "account_key"),
        *("sas_token", "connection_string", "client_secret", "gdrive_client_secret", "oss_key_secret"),
        *("token", "custom_auth_header"),
    }
)

Location = tuple[Any, ...]


def holds_credential(text: str) -> bool:
    """Whether a text holds what looks like a key, or an address with a password in it."""
    return CREDENTIAL.search(text) is not None


def typed_credentials(values: Any, location: Location = ()) -> Iterator[tuple[Location, str]]:
    """Where values of params.yaml hold what looks like a key or a password, as location and sentence.

    Args:
        values: sections, lists, or a single value.
        location: of the values.
    """
    if isinstance(values, dict | list):
        for key, value in values.items() if isinstance(values, dict) else enumerate(values):
            yield from typed_credentials(value, (*location, key))
    elif isinstance(values, str) and holds_credential(values):
        yield (
            location,
            f"{'.'.join(map(str, location))} holds what looks like a key, or an address with a password (it is not "
            "shown here): take it out, as git and DVC keep what stands here, and make a new one if it was "
            "committed; keys are read from the environment.",
        )


def remote_credentials() -> Iterator[str]:
    """A sentence for each key or password of a remote in .dvc/config, which git would hand to everyone."""
    config = ConfigParser(interpolation=None, strict=False)
    try:
        config.read(CONFIG, encoding="utf-8")
    except (Error, UnicodeDecodeError):  # DVC tells what is wrong with it
        return
    for section in config.sections():
        remote = section.removeprefix("'").removesuffix("'").removeprefix('remote "').removesuffix('"')
        for option, value in config.items(section):
            if option in SECRET_OPTIONS or holds_credential(value):
                yield (
                    f"{CONFIG}: {option} of {remote} holds a key or a password (it is not shown here), and git hands "
                    f"this file on: take it out, and set it by `dvc remote modify --local {remote} …`, which writes "
                    "to .dvc/config.local, or by the environment."
                )
