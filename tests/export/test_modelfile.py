"""The Modelfile holds what it is given, and gives it back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.errors import UserError
from src.export.modelfile import Modelfile, read_modelfile, render_modelfile

TEXTS = st.text().filter(lambda text: '"""' not in text)


def test_a_modelfile_holds_template_system_stops_and_length() -> None:
    assert render_modelfile("x.gguf", "{{ .System }}\n{{ .Prompt }}", "Describe it.", ["<|eot_id|>", "</s>"], 96) == (
        "FROM ./x.gguf\n"
        'TEMPLATE """{{ .System }}\n{{ .Prompt }}"""\n'
        'SYSTEM """Describe it."""\n'
        'PARAMETER stop "<|eot_id|>"\n'
        'PARAMETER stop "</s>"\n'
        "PARAMETER temperature 0\n"
        "PARAMETER num_predict 96\n"
    )


@given(TEXTS, TEXTS, st.lists(st.sampled_from(["<|eot_id|>", "</s>"])), st.integers(1, 4096))
def test_a_modelfile_is_read_as_it_was_written(template: str, instruction: str, stops: list[str], length: int) -> None:
    written = render_modelfile("x.gguf", template, instruction, stops, length)
    assert read_modelfile(written) == Modelfile("x.gguf", template, instruction, length)


@pytest.mark.parametrize("text", ["", "FROM llama3\n", 'FROM ./x.gguf\nTEMPLATE """t"""\nSYSTEM """s"""\n'])
def test_another_modelfile_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="Modelfile is not as the export wrote it"):
        read_modelfile(text)
