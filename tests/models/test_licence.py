"""The licence that a model's README declares is kept, and none is invented."""

from pathlib import Path

import pytest

from src.models.licence import declared_licence, keep_licence, kept_licence
from src.models.sources import copy_model, download_model


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


def test_a_copied_model_keeps_its_licence_and_not_its_readme(tmp_path: Path) -> None:
    for name in ("source", "folder"):
        (tmp_path / name).mkdir()
    (tmp_path / "source/README.md").write_text("---\nlicense: mit\n---\n")
    copy_model(tmp_path / "source", tmp_path / "folder")
    assert kept_licence(tmp_path / "folder") == {"license": "mit"}
    assert not (tmp_path / "folder/README.md").exists()


def test_the_readme_is_fetched_from_a_hub_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fetched(repository: str, revision: str, allow_patterns: list[str]) -> str:
        asked.extend(allow_patterns)
        (tmp_path / "README.md").write_text("---\nlicense: llama3.2\n---\n")
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetched)
    (tmp_path / "folder").mkdir()
    download_model("owner/name", "abc", tmp_path / "folder")
    assert "README.md" in asked
    assert kept_licence(tmp_path / "folder") == {"license": "llama3.2"}


def test_the_embedded_model_has_the_projects_licence() -> None:
    embedded = Path(__file__).parents[2] / "models/embedded"
    assert declared_licence(embedded / "README.md") == {"license": "apache-2.0"}
