"""The Modelfile holds what it is given."""

from src.export.modelfile import render_modelfile


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
