"""The page, served on a real export and driven in a headless Chromium, and by many visitors over HTTP."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir, closing
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Any, NamedTuple, cast
from urllib.request import Request, urlopen

import httpx
import polars as pl
import pytest
from playwright.sync_api import Page, expect

from src.files import read_jsonl
from src.inference.engine import Sampling
from src.inference.llama_cpp import Piece
from src.journal import Journal
from src.serving import app
from src.serving.app_guard import HEADERS
from src.serving.app_session import SIDES, Desk, Shown, visible_text
from src.serving.index import write_index
from tests.browser import LOWEST_CONTRAST, PATIENCE, OpenPage
from tests.serving.conftest import PRODUCTS, TITLES

ROOT = Path(__file__).parents[2]
HOSTILE = {
    "<script>document.title = 'taken over'</script> lamp": "<img src='https://example.com/a.png' onerror='alert(1)'>",
    "${document.title = 1} {{7 * 7}} {% raw %} kettle": "**bold** [link](https://example.com) ${1 + 1} {{7 * 7}}",
    "מנורת שולחן 12 cm": "An Arabic lamp: مصباح, and \u202eturned\u202c.",
}
PHONE, DESK_SIZE = {"width": 390, "height": 844}, {"width": 1400, "height": 900}
CHECKED = Sampling(8)
# Notes how long the answers are whenever they change.
LENGTHS = """() => {
  window.lengths = new Set();
  const answers = document.querySelector("#answers");
  new MutationObserver(() => window.lengths.add(answers.innerText.length)).observe(
    answers, {subtree: true, childList: true, characterData: true});
}"""


class Served(NamedTuple):
    """A page that is open, and what is behind it."""

    address: str
    desk: Desk


def wait_until(holds: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Whether something comes true in time."""
    end = monotonic() + seconds
    while not holds() and monotonic() < end:
        sleep(0.02)
    return holds()


def serve(desk: Desk, password: str | None = None) -> Iterator[Served]:
    """A page in this process, at a free port."""
    with chdir(ROOT):  # the run that the page tells of
        server = app.listen(app.build_app(desk, password), "127.0.0.1", 0)
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    assert wait_until(lambda: server.started)
    yield Served(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", desk)
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def hostile_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of products, and of records that hold mark-up."""
    path, records = tmp_path_factory.mktemp("index") / "index.sqlite", PRODUCTS | HOSTILE
    uids = [f"u{number}" for number in range(len(records))]
    write_index(path, [pl.DataFrame({"uid": uids, "title": list(records), "content": list(records.values())})])
    return path


@pytest.fixture(scope="module")
def served(export_folder: Path, hostile_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The page, its model loaded."""
    votes = tmp_path_factory.mktemp("votes") / "page_votes.jsonl"
    desk = Desk(export_folder, hostile_index, Journal(votes))
    desk.load()
    yield from serve(desk)


def open_ready(open_page: OpenPage, served: Served, **options: Any) -> Page:
    """The page once it can be used."""
    page: Page = open_page(served.address, **options).page
    expect(page.get_by_text("Ready", exact=True)).to_be_visible()
    return page


def describe(page: Page, title: str) -> list[str]:
    """Both answers to a title that is typed and entered."""
    page.get_by_label("Product title").fill(title)
    page.evaluate("document.querySelectorAll('.answer').forEach(old => old.classList.add('old'))")
    page.get_by_label("Product title").press("Enter")
    expect(page.locator(".answer[aria-busy=false]:not(.old)")).to_have_count(2)
    expect(page.get_by_text("Both descriptions are complete.")).to_be_visible()
    return page.locator(".answer .text").all_inner_texts()


def set_control(page: Page, label: str, value: str) -> None:
    """Types a value into a control of the sampling, which is unfolded; again, where an update of the page undoes it."""
    control = page.get_by_label(label).first
    while control.input_value() != value:
        control.fill(value)
        control.press("Tab")
        page.wait_for_timeout(300)


def slowly(stream: Callable[..., Iterator[Piece]]) -> Callable[..., Iterator[Piece]]:
    """The same pieces, at the speed of a larger model: a busy machine's browser shows this one's all at once."""

    def pieces(*given: Any) -> Iterator[Piece]:
        with closing(cast(Generator[Piece], stream(*given))) as answer:
            for piece in answer:
                sleep(0.03)
                yield piece

    return pieces


def test_a_visitor_types_reads_changes_the_temperature_votes_and_reloads(
    open_page: OpenPage, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_page(served.address)
    page = opened.page
    expect(page.get_by_text("Ready", exact=True)).to_be_visible()
    greedy = describe(page, TITLES[0])
    assert all(greedy) and greedy[0] != greedy[1]
    expect(page.locator(".record")).to_contain_text(PRODUCTS[TITLES[0]])
    expect(page.locator(".record")).to_contain_text("Record u0")

    page.get_by_role("button", name="How the words are drawn").click()
    set_control(page, "number input for Temperature", "1.5")
    set_control(page, "number input for Longest answer", "150")
    page.evaluate(LENGTHS)
    assert served.desk.model
    with monkeypatch.context() as slow:
        slow.setattr(served.desk.model, "stream", slowly(served.desk.model.stream))
        drawn = describe(page, TITLES[0])
        assert describe(page, TITLES[0]) == drawn  # of the same seed
    assert page.evaluate("window.lengths.size") >= 4  # the text grew before its end
    assert drawn != greedy

    page.get_by_role("button", name="B is better").click()
    expect(page.get_by_text("your vote is kept")).to_be_visible()
    kept = read_jsonl(served.desk.votes.path)[-1]
    assert (kept["title"], kept["choice"], kept["hidden"], kept["uid"]) == (TITLES[0], "second", False, "u0")
    assert [visible_text(kept[name]).split() for name in ("first_answer", "second_answer")] == [
        text.split() for text in drawn
    ]
    expect(page.get_by_role("button", name="B is better")).to_be_hidden()

    page.reload()
    expect(page.get_by_text("Ready", exact=True)).to_be_visible()
    assert describe(page, TITLES[0]) == greedy
    assert {request.split("/")[2] for request in opened.requests if not request.startswith("data:")} == {
        served.address.removeprefix("http://")
    }


def test_hidden_sides_are_named_after_the_vote(open_page: OpenPage, served: Served) -> None:
    page = open_ready(open_page, served)
    page.get_by_label("Hide which model is which").check()
    orders: set[str] = set()
    while len(orders) < 2:  # both orders come up
        answers = describe(page, TITLES[1])
        expect(page.locator(".answer h2")).to_have_text(["A Hidden until you vote", "B Hidden until you vote"])
        assert "tuned" not in page.locator("#answers").inner_html().lower()
        page.get_by_role("button", name="A tie").click()
        expect(page.get_by_text("your vote is kept")).to_be_visible()
        kept = read_jsonl(served.desk.votes.path)[-1]
        assert kept["hidden"] and [kept["first_answer"], kept["second_answer"]] == answers
        names = {"base": "Base model", "tuned": "Tuned model"}
        expect(page.locator(".answer h2")).to_have_text([f"A {names[kept['first']]}", f"B {names[kept['second']]}"])
        orders.add(kept["first"])


def test_texts_are_shown_as_they_are(open_page: OpenPage, served: Served) -> None:
    page = open_ready(open_page, served)
    for title, text in HOSTILE.items():
        describe(page, f"\u202e{title}\u0000\u0007 \u200b")
        shown = "".join(char for char in text if char not in "\u202e\u202c")
        assert page.locator(".record .text").inner_text() == shown
        expect(page.locator(".record")).to_contain_text("Same title")
    assert page.title() == "Shelftalk"
    describe(page, "zzqx 0000 jjkw")
    expect(page.locator(".record")).to_contain_text("both descriptions come from the title alone")


@pytest.mark.parametrize(
    ("title", "told"),
    [
        ("", "There is no title yet"),
        ("\u0000 \u202e\t\n", "There is no title yet"),
        ("lamp 💡" * 1_700, "This title has 10,200 characters, and the longest that is read has 2,000: shorten it."),
        ("💡" * 1_900, "TITLE is too long"),
    ],
)
def test_titles_that_cannot_be_are_refused_in_a_sentence(served: Served, title: str, told: str) -> None:
    assert told in ask(served, title, title=title).notice


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK_SIZE], ids=["phone", "desk"])
def test_all_fits_and_can_be_read(open_page: OpenPage, served: Served, theme: Any, size: Any) -> None:
    page = open_ready(open_page, served, viewport=size, color_scheme=theme)
    page.get_by_role("button", name="How the words are drawn").click()
    describe(page, TITLES[2])
    expect(page.get_by_text("The adapter is at work")).to_be_visible()
    expect(page.get_by_text("The tuned model beats the base model")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    contrast, text = page.evaluate(LOWEST_CONTRAST)
    assert contrast >= 4.5, text
    assert page.locator("footer:visible").count() == 0
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (dark == "rgb(20, 21, 23)") == (theme == "dark")


class Told(NamedTuple):
    """What a visitor has in the end."""

    notice: str
    answers: list[str]
    record: str


def functions(served: Served) -> dict[str, list[int]]:
    """The numbers of Gradio's events: describing, and the three votes."""
    listed = httpx.get(f"{served.address}/config", timeout=PATIENCE).json()["dependencies"]
    asking = [one["id"] for one in listed if any(target[1] == "submit" for target in one["targets"])]
    voting = [one["id"] for one in listed if (len(one["inputs"]), len(one["outputs"])) == (1, 5)]
    return {"ask": asking, "vote": voting}


def join(served: Served, session: str, function: int, data: list[Any]) -> None:
    """Puts an event into the queue."""
    body = {"data": data, "fn_index": function, "session_hash": session}
    assert httpx.post(f"{served.address}/gradio_api/queue/join", json=body, timeout=PATIENCE).is_success


def messages(served: Served, session: str) -> Iterator[dict[str, Any]]:
    """What a visitor is told, as it comes."""
    address = f"{served.address}/gradio_api/queue/data?session_hash={session}"
    with httpx.stream("GET", address, timeout=PATIENCE) as lines:
        yield from (json.loads(line.removeprefix("data: ")) for line in lines.iter_lines() if line)


def plain(part: str, label: str) -> str:
    """The text of a class in a part of the page."""
    from html import unescape

    return unescape(part.partition(f'<p class="{label}')[2].partition(">")[2].partition("</p>")[0])


def ask(served: Served, session: str, title: str, longest: int = CHECKED.max_new_tokens, joined: bool = False) -> Told:
    """The end of what a visitor is told on a title."""
    session = f"s{abs(hash(session))}"
    if not joined:
        join(served, session, functions(served)["ask"][0], [title, False, longest, *CHECKED[1:]])
    shown = [one["output"]["data"] for one in messages(served, session) if "output" in one]
    first, last = shown[0], shown[-1]
    return Told(plain(last[1], "notice"), [plain(str(part), "text") for part in last[2:4]], str(first[4]))


def test_twenty_visitors_queue_fairly_and_see_their_own_answers(served: Served, capfd: Any) -> None:
    numbers, titles = functions(served), TITLES[10:30]
    sessions = [f"s{abs(hash(title))}" for title in titles]
    served.desk.log_prompts = True
    for session, title in zip(sessions, titles, strict=True):
        join(served, session, numbers["ask"][0], [title, False, *CHECKED])
    with ThreadPoolExecutor(len(titles)) as visitors:
        told = list(visitors.map(lambda title: ask(served, title, title, joined=True), titles))
    served.desk.log_prompts = False
    asked = [line.removeprefix("asked: ") for line in capfd.readouterr().out.splitlines() if line[:7] == "asked: "]
    assert sorted(asked) == sorted(titles)
    assert all(abs(asked.index(title) - place) <= 2 for place, title in enumerate(titles))  # two are served at once
    model = served.desk.model
    assert model
    own = 0
    for number, (title, found) in enumerate(zip(titles, told, strict=True), start=10):
        assert f"Record u{number}<" in found.record
        turns = model.note.turns(title)
        alone = ["".join(piece.text for piece in model.stream(turns, side, CHECKED)) for side in SIDES]
        own += sum(answer == expected for answer, expected in zip(found.answers, alone, strict=True))
    assert own >= 36  # of 40: another batch rounds otherwise, and the random adapter leaves near ties
    before = len(served.desk.votes.rows)
    for session in sessions[::5]:
        join(served, session, numbers["vote"][0], [None])
        assert list(messages(served, session))[-1]["msg"] == "close_stream"
    assert [row["title"] for row in served.desk.votes.rows[before:]] == titles[::5]


def busy_slots(served: Served) -> int:
    """How many answers llama.cpp is writing."""
    assert served.desk.model
    engine = served.desk.model.engines["base"]
    request = Request(f"{engine.server.address}/slots", headers={"Authorization": f"Bearer {engine.server.key}"})
    with urlopen(request) as slots:
        return sum(slot["is_processing"] for slot in json.load(slots))


def test_a_visitor_who_leaves_frees_the_slots(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, completed = served.desk.answer, list[bool]()
    assert served.desk.model

    def watched(shown: Shown, sampling: Sampling) -> Iterator[Shown]:
        try:
            for shown in answer(shown, sampling):  # noqa: B020
                yield shown
        finally:
            completed.append(shown.complete)

    monkeypatch.setattr(served.desk, "answer", watched)
    monkeypatch.setattr(served.desk.model, "stream", slowly(served.desk.model.stream))
    endless = [TITLES[3], False, 512, 2.0, 0, 1, 1, 0]  # hot, so that hardly any answer stops early
    join(served, "leaver", functions(served)["ask"][0], endless)
    told = messages(served, "leaver")
    while next(told)["msg"] != "process_generating":
        pass
    told.close()  # type: ignore[attr-defined]
    assert wait_until(lambda: bool(completed))
    assert completed == [False]
    assert wait_until(lambda: busy_slots(served) == 0)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/gradio_api/upload"),
        ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", "/gradio_api/proxy=https://example.com"),
        ("POST", "/gradio_api/run/predict"),
        ("POST", "/gradio_api/call/describe"),
        ("POST", "/gradio_api/component_server"),
        ("POST", "/gradio_api/process_recording"),
        ("POST", "/gradio_api/vibe-code/"),
        ("GET", "/gradio_api/info"),
        ("GET", "/openapi.json"),
        ("GET", "/docs"),
        ("GET", "/monitoring/summary"),
    ],
)
def test_what_the_page_does_not_need_is_closed(served: Served, method: str, path: str) -> None:
    files = {"files": b"a"} if method == "POST" else None
    response = httpx.request(method, served.address + path, files=files, timeout=PATIENCE)
    assert (response.status_code, response.text) == (404, "The page has no such address.\n")


def test_another_name_for_this_machine_is_refused(served: Served) -> None:
    """A page of another site could lead its name here, and then read what it asks."""
    for name, status in {"rebound.example:7860": 403, "localhost:7860": 200, "[::1]:7860": 200, "": 403}.items():
        assert httpx.get(served.address, headers={"Host": name}, timeout=PATIENCE).status_code == status


def test_large_bodies_are_not_read(served: Served) -> None:
    address = f"{served.address}/gradio_api/queue/join"
    assert httpx.post(address, content=b"x" * 300_000, timeout=PATIENCE).status_code == 413
    assert httpx.post(address, content=iter([b"x"]), timeout=PATIENCE).status_code == 413  # of unknown length


def test_no_other_host_is_allowed_for(served: Served) -> None:
    found = httpx.get(served.address, timeout=PATIENCE).headers
    assert HEADERS.items() <= {name: found.get(name) for name in HEADERS}.items()


def test_a_password_lets_in(export_folder: Path, hostile_index: Path, tmp_path: Path) -> None:
    desk = Desk(export_folder, hostile_index, Journal(tmp_path / "votes.jsonl"))
    for served in serve(desk, "open sesame"):
        with httpx.Client(base_url=served.address, timeout=PATIENCE) as client:
            body = {"data": [], "fn_index": 1, "session_hash": "s"}
            assert client.post("/gradio_api/queue/join", json=body).status_code == 401
            assert client.get("/config").status_code == 401
            assert client.post("/login", data={"username": "me", "password": "sesame"}).status_code == 400
            assert client.post("/login", data={"username": "me", "password": "open sesame"}).is_success
            assert client.get("/config").is_success


def test_a_missing_export_is_told_on_the_page(open_page: OpenPage, tmp_path: Path, hostile_index: Path) -> None:
    desk = Desk(tmp_path / "export", hostile_index, Journal(tmp_path / "votes.jsonl"))
    for served in serve(desk):
        page = open_page(served.address).page
        expect(page.get_by_text("Loading the model")).to_be_visible()
        expect(page.get_by_role("button", name="Describe")).to_be_disabled()
        desk.start_loading()
        expect(page.get_by_text("serving.json is missing: run `make repro`")).to_be_visible()
        expect(page.get_by_role("button", name="Describe")).to_be_disabled()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--host", "0.0.0.0"], "app: --host 0.0.0.0 lets other machines in, and SHELFTALK_PASSWORD is not set"),
        (["--slots", "1"], "app: --slots is 1, and must be 2, one for each of the two answers, to 32"),
    ],
)
def test_wrong_arguments_are_refused(
    arguments: list[str], told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["app", *arguments])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=told):
        app.main()


def test_votes_outlive_sigterm_which_ends_the_page_at_once(
    export_folder: Path, hostile_index: Path, tmp_path: Path
) -> None:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    votes = tmp_path / "votes.jsonl"
    command = [sys.executable, "-m", "src.serving.app", "--port", str(port), "--export", str(export_folder)]
    command += ["--index", str(hostile_index), "--votes", str(votes)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout
        printed = process.stdout.readline() + process.stdout.readline()
        assert "The model is loaded." in printed
        served = Served(f"http://127.0.0.1:{port}", None)  # type: ignore[arg-type]
        numbers, session = functions(served), f"s{abs(hash('voter'))}"
        ask(served, "voter", TITLES[4])
        join(served, session, numbers["vote"][0], [None])
        assert list(messages(served, session))[-1]["msg"] == "close_stream"
        join(served, session, numbers["ask"][0], [TITLES[5], False, 512, 2.0, 0, 1, 1, 0])
        told = messages(served, session)
        while next(told)["msg"] != "process_generating":
            pass
        begun = monotonic()
        process.send_signal(signal.SIGTERM)
        printed += process.communicate(timeout=PATIENCE)[0]
        assert monotonic() - begun < 20
    finally:
        process.kill()
    assert [row["title"] for row in read_jsonl(votes)] == [TITLES[4]]
    assert not any(title in printed for title in TITLES) and "Traceback" not in printed
