"""The Modelfile holds what it is given, and gives it back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.errors import UserError
from src.export.modelfile import Modelfile, read_modelfile, render_modelfile
from src.inference.engine import Sampling
from src.modelfile_text import lost_by_ollama

DRAWN = Sampling(96, temperature=0.7, top_k=50, top_p=0.95, repetition_penalty=1.1)
samplings = st.builds(
    Sampling,
    st.integers(1, 4096),
    st.floats(0, 10),
    st.integers(0, 1000),
    st.floats(0, 1, exclude_min=True),
    st.floats(0.1, 10),
    st.just(0),
)
TEXTS = st.text().filter(lambda text: not lost_by_ollama(text)).map(str.strip)


def test_a_modelfile_holds_template_system_stops_and_length() -> None:
    assert render_modelfile(
        "x.gguf", "{{ .System }}\n{{ .Prompt }}", "Describe it.", ["<|eot_id|>", "</s>"], DRAWN
    ) == (
        "FROM ./x.gguf\n"
        'TEMPLATE """{{ .System }}\n{{ .Prompt }}"""\n'
        'SYSTEM """Describe it."""\n'
        'PARAMETER stop "<|eot_id|>"\n'
        'PARAMETER stop "</s>"\n'
        "PARAMETER num_predict 96\n"
        "PARAMETER temperature 0.7\n"
        "PARAMETER top_k 50\n"
        "PARAMETER top_p 0.95\n"
        "PARAMETER min_p 0\n"
        "PARAMETER repeat_penalty 1.1\n"
        "PARAMETER repeat_last_n -1\n"
    )


@given(TEXTS, TEXTS, st.lists(st.sampled_from(["<|eot_id|>", "</s>"])), samplings)
def test_a_modelfile_is_read_as_it_was_written(
    template: str, instruction: str, stops: list[str], sampling: Sampling
) -> None:
    written = render_modelfile("x.gguf", template, instruction, stops, sampling)
    assert read_modelfile(written) == Modelfile("x.gguf", template, instruction, sampling)


def test_greedy_answers_are_not_penalised_for_repetition() -> None:
    written = render_modelfile("x.gguf", "{{ .Prompt }}", "", [], Sampling(9))
    assert "PARAMETER temperature 0.0\n" in written and "PARAMETER repeat_penalty 1.0\n" in written


def test_white_space_at_the_ends_of_an_instruction_is_left_out_as_in_training() -> None:
    written = render_modelfile("x.gguf", "{{ .Prompt }}", " Describe it.\n", [], Sampling(9))
    assert read_modelfile(written).instruction == "Describe it."


def test_a_stop_token_that_ollama_would_not_read_is_refused() -> None:
    with pytest.raises(UserError, match=r"the stop token '<\\u200b>' has the invisible character U\+200B"):
        render_modelfile("x.gguf", "{{ .Prompt }}", "Describe it.", ["</s>", "<\u200b>"], Sampling(9))


@pytest.mark.parametrize("text", ["", "FROM llama3\n", 'FROM ./x.gguf\nTEMPLATE """t"""\nSYSTEM """s"""\n'])
def test_another_modelfile_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="Modelfile is not as the export wrote it"):
        read_modelfile(text)
