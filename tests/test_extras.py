"""The packages that not everybody needs, extras/: each file can be installed over the usual ones."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXTRAS = sorted(path.stem for path in (ROOT / "extras").glob("*.in"))


def pins(path: Path) -> dict[str, str]:
    """The exact versions that a requirements file names."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", path.read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize("name", EXTRAS)
def test_an_extra_changes_no_package_of_the_usual_ones(name: str) -> None:
    usual, extra = pins(ROOT / "requirements.txt"), pins(ROOT / f"extras/{name}.txt")
    assert {package: version for package, version in extra.items() if usual.get(package, version) != version} == {}


@pytest.mark.parametrize("name", EXTRAS)
def test_what_an_extra_asks_for_is_pinned(name: str) -> None:
    asked = re.findall(r"^([\w.-]+)(?:\[[\w,]+\])?==", (ROOT / f"extras/{name}.in").read_text(), flags=re.MULTILINE)
    assert asked
    assert set(asked) <= set(pins(ROOT / f"extras/{name}.txt"))


def test_extras_agree_with_each_other() -> None:
    versions: dict[str, set[str]] = {}
    for name in EXTRAS:
        for package, version in pins(ROOT / f"extras/{name}.txt").items():
            versions.setdefault(package, set()).add(version)
    assert {package: found for package, found in versions.items() if len(found) > 1} == {}
