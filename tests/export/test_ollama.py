"""A Modelfile as Ollama reads it, and the prompts that Go's own text/template renders from it: those of training."""

import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from src.errors import UserError
from src.export.modelfile import render_modelfile
from src.inference.engine import Sampling
from src.modelfile_text import lost_by_ollama
from src.prompts.encoding import render_prompt
from src.prompts.ollama import fill_template, ollama_template
from src.prompts.rendering import prompt_and_completion, prompt_turns, saved_chat_template
from src.prompts.tokenizers import load_tokenizer, render_turns, stop_texts, without_bos
from tests.tiny_bases import TITLES

EMBEDDED = Path(__file__).parents[2] / "models/embedded"
PROGRAM = Path(__file__).with_name("ollama.go")
CONVERSATIONS = 100
PARAMETERS = ["num_predict", "temperature", "top_k", "top_p", "min_p", "repeat_penalty", "repeat_last_n"]

# What a template, a Modelfile or a shell could take for something else.
FRAGMENTS = [
    *("{", "}", "{{", "}}", "{{{", "{{ .Prompt }}", "{{- .System -}}", "{{/* x */}}", "{{ if .System }}", "{% if x %}"),
    *('"', '""', "'", "`", "\\", "\\n", "\\u0041", "$HOME", "%s", "#", "<b>", "&amp;", "{0}", "\n", "\r\n", "\t", "  "),
    *("\nPARAMETER stop x\n", "\nSYSTEM y\n", "\nFROM z\n", "FROM", '\n"\n', "[INST]", "Lamp", "12.5 cm", "é", "ß"),
    *("日本", "😀", "“quoted”", "–", "ﬁ", "ا", "▁", "｜"),
]
LOST = ['"""', "\u00a0", "\u3000", "\u200b", "👩\u200d👧", "\ufeff", "\x07", "\U000e0041"]  # in an instruction

# As Mistral's, which has no place for a system turn but the user's own.
MISTRAL = (
    "{%- set system = messages[0]['content'] %}{{- bos_token }}{%- for message in messages[1:] %}"
    "{%- if message['role'] == 'user' %}{{- '[INST] ' + system + '\\n\\n' + message['content'] + ' [/INST]' }}"
    "{%- else %}{{- ' ' + message['content'] + eos_token }}{%- endif %}{%- endfor %}"
)
TEMPLATES = ["chat", "alpaca", "plain", "embedded", "qwen2", "zephyr", "mistral"]


class Conversation(NamedTuple):
    """What a model is trained to be asked, and the titles that it is asked about."""

    instruction: str
    question: str
    titles: list[str]


def draw_text(drawn: random.Random, fragments: list[str]) -> str:
    """A few fragments in a row, without white space at the ends, as the texts of prompts are."""
    return "".join(drawn.choices(fragments, k=drawn.randint(1, 8))).strip() or "x"


def draw_conversation(seed: int) -> Conversation:
    drawn = random.Random(seed)
    before, after = (draw_text(drawn, [*FRAGMENTS, *LOST]) if drawn.random() < 0.7 else "" for _ in range(2))
    return Conversation(
        instruction=draw_text(drawn, FRAGMENTS).replace('"""', "'"),
        question=f"{before}{{title}}{after}",
        titles=[draw_text(drawn, [*FRAGMENTS, *LOST, "{title}"]), drawn.choice(TITLES).strip() or "-"],
    )


@pytest.fixture(scope="module")
def ollama(request: pytest.FixtureRequest) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    """Gives Modelfiles and prompts to the Go program; compiled once, it is quick."""
    if not shutil.which("go"):
        pytest.skip("no go here, which renders Ollama's templates: install Debian's golang-go")
    cache = request.config.cache
    assert cache
    folder = cache.mkdir("go")
    binary = folder / "ollama"
    environment = os.environ | {"GOCACHE": str(folder / "build"), "GOPATH": str(folder / "path"), "GO111MODULE": "off"}
    build = ["go", "build", "-o", str(binary), str(PROGRAM)]
    done = subprocess.run(build, env=environment | {"GOTOOLCHAIN": "local"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    def outcomes(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
        done = subprocess.run([binary], input=json.dumps(cases), capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    return outcomes


@pytest.fixture(scope="module")
def tokenizers(load: Any, family_base: Callable[[str], Path]) -> dict[str, Any]:
    """A tokenizer for each of TEMPLATES, with the chat template that travels with an adapter."""
    found = {name: load(name) for name in ("chat", "alpaca", "plain")}
    found["embedded"] = load_tokenizer(EMBEDDED, "chat")
    found["qwen2"] = load_tokenizer(family_base("qwen2"), "chat")
    found["zephyr"] = load_tokenizer(family_base("llama"), "chat")
    found["mistral"] = load_tokenizer(family_base("mistral"), "chat")
    found["mistral"].chat_template = saved_chat_template("chat", MISTRAL, found["mistral"].bos_token)
    return found


def trained_prompt(tokenizer: Any, name: str, asked: Conversation, title: str) -> str:
    """What training saw, without the token that llama.cpp puts in front."""
    template: Any = name if name in ("alpaca", "plain") else "chat"
    turns = prompt_turns(asked.instruction, asked.question, title)
    return without_bos(tokenizer, render_prompt(tokenizer, prompt_and_completion(template, turns, "Fine.")["prompt"]))


def modelfile(tokenizer: Any, asked: Conversation) -> str:
    template = ollama_template(tokenizer, asked.question)
    return render_modelfile("x.gguf", template, asked.instruction, stop_texts(tokenizer), Sampling(9))


@pytest.mark.parametrize("name", TEMPLATES)
def test_go_renders_the_prompts_of_training(ollama: Any, tokenizers: dict[str, Any], name: str) -> None:
    tokenizer = tokenizers[name]
    conversations = [draw_conversation(seed) for seed in range(CONVERSATIONS)]
    cases = [{"modelfile": modelfile(tokenizer, asked), "prompts": asked.titles} for asked in conversations]
    names = ["from", "template", "system", *["stop"] * len(stop_texts(tokenizer)), *PARAMETERS]
    for asked, outcome in zip(conversations, ollama(cases), strict=True):
        assert not outcome["error"], (asked, outcome["error"])
        assert outcome["rendered"] == [trained_prompt(tokenizer, name, asked, title) for title in asked.titles]
        assert [command for command, _ in outcome["commands"]] == names
        assert dict(outcome["commands"])["system"] == asked.instruction


def test_the_template_is_filled_here_as_go_fills_it(tokenizers: dict[str, Any]) -> None:
    for name, tokenizer in tokenizers.items():
        for seed in range(CONVERSATIONS):
            asked = draw_conversation(seed)
            template = ollama_template(tokenizer, asked.question)
            for title in asked.titles:
                filled = fill_template(template, asked.instruction, title)
                assert filled == trained_prompt(tokenizer, name, asked, title)


@pytest.mark.parametrize("lost", LOST)
def test_what_ollama_loses_of_an_instruction_is_refused(ollama: Any, lost: str) -> None:
    """Each would be lost: the parser drops it, or takes what follows for a command."""
    instruction = f"Describe{lost}\nPARAMETER stop x"
    assert lost_by_ollama(instruction)
    with pytest.raises(UserError, match=r"the instruction has .*, which Ollama does not read from a Modelfile"):
        render_modelfile("x.gguf", "{{ .Prompt }}", instruction, [], Sampling(9))
    written = render_modelfile("x.gguf", "{{ .Prompt }}", "INSTRUCTION", [], Sampling(9))
    [outcome] = ollama([{"modelfile": written.replace("INSTRUCTION", instruction), "prompts": []}])
    assert dict(outcome["commands"] or {}).get("system") != instruction


def test_a_template_that_is_not_escaped_renders_another_prompt(ollama: Any, chat_tokenizer: Any) -> None:
    """The escapes are there for a reason: without them the same texts end in errors or in other prompts."""
    asked = Conversation("Describe it.", "{{ .System }} {title}", ["Lamp"])
    turns = prompt_turns("{{ .System }}", asked.question, "{{ .Prompt }}")
    naive = without_bos(chat_tokenizer, render_turns(chat_tokenizer, turns, add_generation_prompt=True))
    written = render_modelfile("x.gguf", naive, asked.instruction, [], Sampling(9))
    [outcome] = ollama([{"modelfile": written, "prompts": asked.titles}])
    assert outcome["rendered"] != [trained_prompt(chat_tokenizer, "chat", asked, "Lamp")]
