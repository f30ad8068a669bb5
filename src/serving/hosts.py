"""By which names a server on this machine may be asked: another one may lead here from a web page (DNS rebinding).

Covers the Host header of a request. What a server does with another name is its own: api_guard.py and app_guard.py.
"""

from urllib.parse import urlsplit

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def is_asked_by(header: str, names: frozenset[str] | None) -> bool:
    """Whether a Host header has one of the names.

    Args:
        header: with the port or without.
        names: None allows all, where a key or a password protects the server.
    """
    return names is None or host_name(header) in names


def host_name(header: str) -> str | None:
    """The name in a Host header, without the port."""
    try:
        return urlsplit(f"//{header}").hostname
    except ValueError:
        return None
