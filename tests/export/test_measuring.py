"""What is measured of a form: all of its files count."""

from pathlib import Path

from src.export.forms import ADAPTER_GGUF, BASE_GGUF, BY_NAME
from src.export.measuring import form_bytes


def test_the_size_of_a_form_is_that_of_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "adapter/deeper").mkdir(parents=True)
    for name, size in {"adapter/one": 3, "adapter/deeper/two": 4, BASE_GGUF: 50, ADAPTER_GGUF: 6}.items():
        (tmp_path / name).write_bytes(b"x" * size)
    assert [form_bytes(BY_NAME[name], tmp_path) for name in ("adapter", "lora")] == [7, 56]
