"""llama.cpp's server: who may ask it, what a closed answer frees, what one request leaves for the next, and its end."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from src.errors import UserError
from src.export.gguf import convert_to_gguf
from src.inference.engine import Answer, Sampling
from src.inference.llama_cpp import LlamaCppEngine, Piece
from src.models.loading import load_base

ROOT = Path(__file__).parents[2]
ENDLESS = Sampling(1_900, temperature=5.0)  # random weights seldom draw the stop token, and with these seeds never
ENDLESS_SEEDS = (11, 14, 18)
ODD_TITLES = [
    "",
    " ",
    "\0",
    "\ud800",
    "é" * 400,
    "👩‍🚀🧵 ☃",
    "<script>alert(1)</script>",
    "\x1b[31m",
    "lamp\r\n\r\ndata: {}",
]


@pytest.fixture(scope="module")
def gguf(base_folder: Path, load: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base."""
    folder = tmp_path_factory.mktemp("tiny")
    load_base(base_folder, four_bit=False).half().save_pretrained(folder)
    load("chat").save_pretrained(folder)
    convert_to_gguf(folder, folder / "tiny.gguf", "f16", "tiny")
    return folder / "tiny.gguf"


@pytest.fixture(scope="module")
def engine(gguf: Path) -> LlamaCppEngine:
    return LlamaCppEngine(gguf, slots=2)


def ask_server(engine: LlamaCppEngine, path: str, key: str | None) -> Any:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with urlopen(Request(engine.server.address + path, headers=headers), timeout=60) as response:
        return json.load(response)


def slots_of(engine: LlamaCppEngine) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask_server(engine, "/slots", engine.server.key)
    return found


def busy_slots(engine: LlamaCppEngine) -> int:
    return sum(slot["is_processing"] for slot in slots_of(engine))


def longest_when_idle(engine: LlamaCppEngine) -> int:
    """The tokens of the longest prompt and answer in a slot, once none is busy."""
    begin = time.monotonic()
    while busy_slots(engine) and time.monotonic() < begin + 60:
        time.sleep(0.005)
    return max(slot.get("n_prompt_tokens", 0) for slot in slots_of(engine))


def start_answers(engine: LlamaCppEngine, count: int) -> list[Iterator[Piece]]:
    answers = [engine.stream("Lamp", ENDLESS._replace(seed=seed)) for seed in ENDLESS_SEEDS[:count]]
    for answer in answers:
        assert not next(answer).finish_reason
    return answers


def whole_text(answer: Answer) -> str:
    """An answer's text without the beginning of a character that it was cut off in, which llama.cpp's JSON shows so."""
    return answer.text.rstrip("\ufffd")


def test_it_listens_on_this_machine_alone(engine: LlamaCppEngine) -> None:
    port = int(engine.server.address.rpartition(":")[2])
    listening = {line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:] if " 0A " in line}
    assert {address for address in listening if address.endswith(f":{port:04X}")} == {f"0100007F:{port:04X}"}


@pytest.mark.parametrize("path", ["/slots", "/props", "/v1/models", "/completion", "/tokenize", "/lora-adapters"])
@pytest.mark.parametrize("key", [None, "other"])
def test_it_answers_nobody_without_its_key(engine: LlamaCppEngine, path: str, key: str | None) -> None:
    with pytest.raises(HTTPError, match="401"):
        ask_server(engine, path, key)


def test_it_shows_no_page(engine: LlamaCppEngine) -> None:
    with pytest.raises(HTTPError, match="404"):
        ask_server(engine, "/", engine.server.key)


def test_an_answer_closed_early_frees_its_slot_for_the_next(engine: LlamaCppEngine) -> None:
    answers = start_answers(engine, 2)
    assert busy_slots(engine) == 2
    for answer in answers:
        answer.close()  # type: ignore[attr-defined]
    assert longest_when_idle(engine) < ENDLESS.max_new_tokens
    assert list(engine.stream("Lamp", Sampling(5)))[-1].finish_reason


def test_a_client_that_waits_for_a_slot_and_goes_away_gets_none(engine: LlamaCppEngine) -> None:
    answers = start_answers(engine, 2)
    endless = {"n_predict": ENDLESS.max_new_tokens, "ignore_eos": True}
    body = json.dumps({"prompt": "Lamp", "stream": True} | endless).encode()
    headers = {"Authorization": f"Bearer {engine.server.key}", "Content-Type": "application/json"}
    with (
        pytest.raises(TimeoutError),
        urlopen(Request(f"{engine.server.address}/completion", body, headers), timeout=0.3),
    ):
        pass
    for answer in answers:
        answer.close()  # type: ignore[attr-defined]
    assert longest_when_idle(engine) < ENDLESS.max_new_tokens


def test_more_requests_than_slots_are_all_answered(engine: LlamaCppEngine) -> None:
    expected = [whole_text(answer) for answer in engine.answer([f"Lamp {number}" for number in range(12)], Sampling(9))]

    def text_of(number: int) -> str:
        return "".join(piece.text for piece in engine.stream(f"Lamp {number}", Sampling(9)))

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(text_of, range(12))) == expected


@pytest.mark.parametrize("seed", range(12))
def test_characters_of_several_tokens_are_whole_in_every_piece(engine: LlamaCppEngine, seed: int) -> None:
    """At this temperature a byte-level tokenizer draws parts of characters in any order."""
    sampling = Sampling(60, temperature=8.0, seed=seed)
    pieces = list(engine.stream("Lamp", sampling))
    whole = engine.answer(["Lamp"], sampling)[0]
    assert "".join(piece.text for piece in pieces) == whole_text(whole)
    assert all(piece.text.encode("utf-8") for piece in pieces[:-1])
    assert pieces[-1].counted is not None
    assert pieces[-1].counted.answer == len(whole.token_ids) + (whole.finish_reason == "stop")


@pytest.mark.parametrize("title", ODD_TITLES)
def test_any_text_is_answered(engine: LlamaCppEngine, title: str) -> None:
    prompt = engine.render_prompt([{"role": "user", "content": title}])
    assert list(engine.stream(prompt, Sampling(3)))[-1].finish_reason


def test_special_tokens_are_found_in_a_text(engine: LlamaCppEngine) -> None:
    assert engine.has_special_tokens("Lamp <|eot_id|>")
    assert not any(map(engine.has_special_tokens, ["", "Lamp <b>", "< |eot_id| >", *ODD_TITLES]))


def test_a_stopped_server_says_so(gguf: Path) -> None:
    engine = LlamaCppEngine(gguf)
    [answer] = start_answers(engine, 1)
    engine.server.stop()
    for asked in (lambda: list(answer), lambda: engine.token_ids("Lamp")):
        with pytest.raises(UserError, match=r"llama\.cpp was stopped before the answer was whole"):
            asked()


def test_a_process_that_ends_amid_an_answer_ends_well(gguf: Path) -> None:
    code = """
import sys, threading
from pathlib import Path
from src.inference.engine import Sampling
from src.inference.llama_cpp import LlamaCppEngine
engine, begun = LlamaCppEngine(Path(sys.argv[1])), threading.Event()
threading.excepthook = lambda _: None
threading.Thread(target=lambda: [begun.set() for _ in engine.stream("Lamp", Sampling(1500, 5.0))], daemon=True).start()
begun.wait()
"""
    begin = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code, gguf], cwd=ROOT, env=os.environ, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - begin < 60


@pytest.mark.parametrize("broken", ["gguf", "adapter"])
def test_a_file_that_llama_cpp_does_not_load_is_a_user_error(gguf: Path, tmp_path: Path, broken: str) -> None:
    (tmp_path / "cut.gguf").write_bytes(gguf.read_bytes()[:100_000])
    files = (tmp_path / "cut.gguf", None) if broken == "gguf" else (gguf, tmp_path / "cut.gguf")
    with pytest.raises(UserError, match=r"llama\.cpp does not load .*cut\.gguf: .*`dvc checkout models/export`"):
        LlamaCppEngine(*files)


def test_a_server_that_is_stopped_at_once_ends(gguf: Path) -> None:
    """xllamacpp's own would wait for ever, where the machine is busy enough that its thread has not begun to work."""
    code = "import sys; from pathlib import Path; from src.inference.llama_cpp import LlamaCppEngine\n"
    code += "for _ in range(15): LlamaCppEngine(Path(sys.argv[1])).server.stop()"
    command = ["nice", "-n", "5", sys.executable, "-c", code, str(gguf)]
    running = [subprocess.Popen(command, cwd=ROOT) for _ in range(3)]
    try:
        assert [process.wait(timeout=600) for process in running] == [0, 0, 0]
    finally:
        for process in running:
            process.kill()
