"""Files and folders that are either the old or the new ones, also after a crash in between."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src import files

ROOT = Path(__file__).parents[1]
KILL = "os.kill(os.getpid(), signal.SIGKILL)"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"))  # Python 3.11 does not quote a \r


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def killed(code: str) -> None:
    """Runs Python code in another process, which has to end by kill -9."""
    code = f"import os, signal\nfrom pathlib import Path\nfrom src import files\n{code}"
    process = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert process.returncode == -signal.SIGKILL


def listing() -> list[str]:
    """Everything below the current folder."""
    return sorted(str(path) for path in Path().rglob("*"))


def old_folder() -> None:
    Path("out").mkdir()
    Path("out/a").write_text("old")


def test_a_file_takes_its_place_when_all_is_written() -> None:
    with files.atomic_file("below/out.txt") as partial:
        partial.write_text("new")
        assert not Path("below/out.txt").exists()
    assert Path("below/out.txt").read_text() == "new"
    assert listing() == ["below", "below/out.txt"]


def test_an_error_leaves_the_old_file() -> None:
    Path("out.txt").write_text("old")
    with pytest.raises(ZeroDivisionError), files.atomic_file("out.txt") as partial:
        partial.write_text("incomplete")
        raise ZeroDivisionError
    assert Path("out.txt").read_text() == "old"
    assert listing() == ["out.txt"]


def test_a_killed_process_leaves_the_old_file_and_the_next_write_tidies_up() -> None:
    Path("out.txt").write_text("old")
    killed(f"with files.atomic_file('out.txt') as partial:\n  partial.write_text('incomplete')\n  {KILL}")
    assert Path("out.txt").read_text() == "old"
    with files.atomic_file("out.txt") as partial:
        partial.write_text("new")
    assert Path("out.txt").read_text() == "new"
    assert listing() == ["out.txt"]


def test_a_folder_takes_its_place_when_all_is_written() -> None:
    old_folder()
    with files.atomic_folder("out") as partial:
        (partial / "b").write_text("new")
        assert Path("out/a").read_text() == "old"
    assert listing() == ["out", "out/b"]


def test_the_files_of_a_folder_are_readable_as_the_umask_says() -> None:
    """safetensors writes them for the owner alone."""
    from safetensors.numpy import save_file

    for umask, expected in ((0o022, 0o644), (0o027, 0o640), (0o077, 0o600)):
        before = os.umask(umask)
        try:
            with files.atomic_folder("out") as partial:
                (partial / "below").mkdir()
                save_file({"a": np.ones(3)}, partial / "below/weights.safetensors")
        finally:
            os.umask(before)
        assert Path("out/below/weights.safetensors").stat().st_mode & 0o777 == expected


def test_an_error_leaves_the_old_folder() -> None:
    old_folder()
    with pytest.raises(ZeroDivisionError), files.atomic_folder("out") as partial:
        (partial / "b").write_text("incomplete")
        raise ZeroDivisionError
    assert listing() == ["out", "out/a"]


def test_a_killed_process_leaves_the_old_folder_and_the_next_write_tidies_up() -> None:
    old_folder()
    killed(f"with files.atomic_folder('out') as partial:\n  (partial / 'b').write_text('incomplete')\n  {KILL}")
    assert Path("out/a").read_text() == "old"
    with files.atomic_folder("out") as partial:
        assert list(partial.iterdir()) == []
        (partial / "c").write_text("new")
    assert listing() == ["out", "out/c"]


def killed_after_renames(count: int) -> None:
    """Writes the folder `out` again and is killed as soon as it has renamed `count` times."""
    killed(
        "rename, done = os.rename, []\n"
        "def last(source, target):\n"
        "  rename(source, target)\n"
        "  done.append(target)\n"
        f"  if len(done) == {count}: {KILL}\n"
        "os.rename = last\n"
        "with files.atomic_folder('out') as partial:\n"
        "  (partial / 'b').write_text('new')"
    )


def test_a_folder_killed_between_two_renames_is_found_again() -> None:
    old_folder()
    killed_after_renames(1)
    assert not Path("out").exists()
    with pytest.raises(ZeroDivisionError), files.atomic_folder("out"):
        raise ZeroDivisionError
    assert listing() == ["out", "out/a"]


def test_a_folder_killed_after_both_renames_is_the_new_one() -> None:
    old_folder()
    killed_after_renames(2)
    assert Path("out/b").read_text() == "new"
    with pytest.raises(ZeroDivisionError), files.atomic_folder("out"):
        raise ZeroDivisionError
    assert listing() == ["out", "out/b"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}])
def test_json_refuses_what_json_cannot_say(value: object) -> None:
    files.write_json("out.json", 1)
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json("out.json", value)
    assert files.read_json("out.json") == 1
    assert listing() == ["out.json"]


@settings(max_examples=50)
@given(JSON)
def test_json_comes_back(value: object) -> None:
    files.write_json("out.json", value)
    assert files.read_json("out.json") == value


@settings(max_examples=50)
@given(st.lists(JSON, max_size=4))
def test_json_lines_come_back_one_a_line(rows: list[object]) -> None:
    files.write_jsonl("out.jsonl", iter(rows))
    assert files.read_jsonl("out.jsonl") == rows
    assert Path("out.jsonl").read_bytes().count(b"\n") == len(rows)


def test_json_keeps_the_order_of_keys_and_the_letters() -> None:
    files.write_json("out.json", {"b": "é", "a": 1})
    assert Path("out.json").read_text(encoding="utf-8") == '{\n  "b": "é",\n  "a": 1\n}\n'


def test_tab_separated_values_have_a_header() -> None:
    files.write_tsv("out.tsv", [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25}])
    assert Path("out.tsv").read_text() == "step\tloss\n1\t0.5\n2\t0.25\n"


@settings(max_examples=50)
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=4))
def test_tab_separated_values_come_back(cells: list[tuple[str, str]]) -> None:
    rows = [{"title": title, "answer": answer} for title, answer in cells]
    files.write_tsv("out.tsv", rows)
    assert files.read_tsv("out.tsv") == rows
