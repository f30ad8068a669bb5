"""The Modelfile that makes Ollama ask an exported model as it was trained."""


def render_modelfile(gguf: str, template: str, instruction: str, stops: list[str], max_new_tokens: int) -> str:
    """An Ollama Modelfile.

    Args:
        gguf: the model's file, beside the Modelfile.
        template: the trained prompt as a Go template.
        instruction: the system turn.
        stops: the texts of the stop tokens.
        max_new_tokens: the longest answer. Answers are greedy, as they were evaluated.
    """
    lines = [f"FROM ./{gguf}", f'TEMPLATE """{template}"""', f'SYSTEM """{instruction}"""']
    lines += [f'PARAMETER stop "{stop}"' for stop in stops]
    lines += ["PARAMETER temperature 0", f"PARAMETER num_predict {max_new_tokens}"]
    return "\n".join(lines) + "\n"
