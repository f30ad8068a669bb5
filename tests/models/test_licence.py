"""The licence that a model's README declares is kept, and none is invented."""

from pathlib import Path

import pytest

from src.models.licence import declared_licence, keep_licence, kept_licence


@pytest.mark.parametrize(
    ("readme", "expected"),
    [
        ("---\nlicense: apache-2.0\ntags: [a]\n---\n# A model\n", {"license": "apache-2.0"}),
        (
            "---\nlicense: other\nlicense_name: own\nlicense_link: LICENSE\n---\n",
            {"license": "other", "license_name": "own", "license_link": "LICENSE"},
        ),
        ("# A model under the MIT licence\n", {}),
        ("---\ntags: [a]\nlicense_name: own\n---\n", {}),
        ("---\nlicense: [mit, apache-2.0]\n---\n", {}),
        ("---\nlicense: 'mit\n---\n", {}),
        ("---\n- a list\n---\n", {}),
        ("---\n", {}),
        ("\udcff", {}),
        (None, {}),
    ],
)
def test_the_licence_is_what_the_readme_declares(tmp_path: Path, readme: str | None, expected: dict[str, str]) -> None:
    source, folder = tmp_path / "source", tmp_path / "folder"
    source.mkdir()
    folder.mkdir()
    if readme is not None:
        (source / "README.md").write_text(readme, encoding="utf-8", errors="surrogateescape")
    assert declared_licence(source / "README.md") == expected
    keep_licence(source, folder)
    assert kept_licence(folder) == expected
    assert len(list(folder.iterdir())) == bool(expected)


def test_the_embedded_model_has_the_projects_licence() -> None:
    embedded = Path(__file__).parents[2] / "models/embedded"
    assert declared_licence(embedded / "README.md") == {"license": "apache-2.0"}
