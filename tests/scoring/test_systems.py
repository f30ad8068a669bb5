"""The systems compared: those of the table, then each file that is found in the folders beside them."""

from pathlib import Path

import pytest

from src.errors import UserError
from src.scoring.systems import SYSTEMS, TrainingRecords, generation_files, repeat_titles


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()


def test_each_file_that_is_found_is_a_system(tmp_path: Path) -> None:
    models = [system.name for system in SYSTEMS if not system.baseline]
    assert [system.name for system in generation_files(tmp_path)] == models
    (tmp_path / "endpoints").mkdir()  # empty
    put(tmp_path, "exports/q8_0.jsonl", "exports/f16.jsonl", "exports/.f16.jsonl.partial")
    assert [system.name for system in generation_files(tmp_path)] == [*models, "f16", "q8_0"]
    put(tmp_path, "endpoints/a.jsonl")
    files = generation_files(tmp_path)
    assert {system.name: path.relative_to(tmp_path).as_posix() for system, path in files.items()} == {
        **{name: f"{name}.jsonl" for name in models},
        "f16": "exports/f16.jsonl",
        "q8_0": "exports/q8_0.jsonl",
        "a": "endpoints/a.jsonl",
    }
    assert [system.label for system in files][-3:] == ["exported GGUF f16", "exported GGUF q8_0", "endpoint a"]
    assert not any(system.headline for system in files if system not in SYSTEMS)


@pytest.mark.parametrize("name", ["tuned", "nearest", "f16"])
def test_a_name_that_is_taken_is_refused(tmp_path: Path, name: str) -> None:
    put(tmp_path, "exports/f16.jsonl", f"endpoints/{name}.jsonl")
    with pytest.raises(UserError, match=rf"endpoints/{name}.jsonl: {name} is another system's name already: give"):
        generation_files(tmp_path)


def test_a_repeated_title_is_the_title() -> None:
    assert repeat_titles(["Owl", "Tea"], TrainingRecords(["x"], ["y"])) == ["Owl", "Tea"]
