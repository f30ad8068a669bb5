"""The review of pull requests in a scratch project: verdict, exit status, text and picture."""

import dataclasses
import json
import re
import shutil
import sys
import xml.etree.ElementTree
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from src.review import __main__ as command
from src.review.comparison import NOISE, ChangedAnswer
from src.review.render import MOST_BYTES, render_review
from src.review.review import review_revisions
from src.review.revisions import open_revision
from tests.review.project import RECORDS, replace
from tests.review.stand_in import ODD
from tests.scratch import call


@pytest.fixture
def project(proposals: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In the scratch project."""
    monkeypatch.chdir(proposals)
    return proposals


@pytest.fixture
def copy(proposals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In a copy of the scratch project that a test may change."""
    folder = shutil.copytree(proposals, tmp_path / "copy")
    monkeypatch.chdir(folder)
    return folder


def run(out: Path, *words: str) -> tuple[int, str]:
    """The exit status and the Markdown of a review."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["review", *words, "--out", str(out)])
        with pytest.raises(SystemExit) as ended:
            command.main()
    assert isinstance(ended.value.code, int), ended.value.code
    return ended.value.code, (out / "review.md").read_text()


def refusal(*words: str) -> str:
    """The sentence with which a review is refused."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["review", *words])
        with pytest.raises(SystemExit) as ended:
            command.main()
    return str(ended.value.code)


@pytest.mark.parametrize(
    ("branch", "status", "first_line"),
    [
        (
            "slower",
            3,
            r"\*\*Worse\*\*: facts of the title stated \(%\) \d.*4 of 4 scores to decide by, on 80 shared records\.",
        ),
        ("comment", 0, r"\*\*Nothing changed\*\*: the tuned model gives the same answers\."),
        ("template", 4, r"\*\*Mixed\*\*: better in facts.*; worse in answer loss.*; on 80 shared records\."),
        (
            "not-run",
            5,
            r"\*\*Not to be told\*\*: `not-run`'s answers were made before `train.lr` changed .*`dvc repro`.*",
        ),
        ("unexplained", 0, r"\*\*Nothing changed\*\*: .*"),
        ("main", 0, r"\*\*Nothing changed\*\*: .*"),
    ],
)
def test_the_verdict_is_right_and_twice_the_same(
    project: Path, tmp_path: Path, branch: str, status: int, first_line: str
) -> None:
    found, text = run(tmp_path / "one", "main", branch)
    assert found == status
    assert re.fullmatch(first_line, text.splitlines()[0])
    run(tmp_path / "two", "main", branch)
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert one == two


def test_turned_round_a_worse_change_is_a_better_one(project: Path, tmp_path: Path) -> None:
    status, text = run(tmp_path, "slower", "main")
    assert status == 0
    assert text.startswith("**Better**")


@pytest.mark.parametrize(
    ("branch", "fail_on", "status"),
    [
        ("slower", ["worse"], 3),
        ("template", ["worse"], 0),
        ("template", ["worse", "mixed"], 4),
        ("not-run", ["worse"], 0),
    ],
)
def test_ci_chooses_what_it_fails_on(
    project: Path, tmp_path: Path, branch: str, fail_on: list[str], status: int
) -> None:
    words = [word for kind in fail_on for word in ("--fail-on", kind)]
    assert run(tmp_path, "main", branch, *words)[0] == status


def test_what_was_changed_is_told(project: Path, tmp_path: Path) -> None:
    _, slower = run(tmp_path / "slower", "main", "slower")
    assert "| `train.lr` | `0.001` | `0.0001` |" in slower
    assert "| `train` | `train.lr` | `data/tables/train`, `models/adapter` |" in slower
    assert f"{RECORDS} records are in both revisions, of {RECORDS} old and {RECORDS} new ones." in slower
    assert "`base`" not in slower  # it answers as before
    _, template = run(tmp_path / "template", "main", "template")
    assert "### `base`" in template
    _, comment = run(tmp_path / "comment", "main", "comment")
    assert "| `src/training/rounds.py` | comments or layout | `train` |" in comment
    assert "| `train` | `src/training/rounds.py` | none: the same bytes |" in comment


def test_loss_curves_are_drawn_old_over_new(project: Path, tmp_path: Path) -> None:
    _, text = run(tmp_path / "slower", "main", "slower")
    assert "](loss.svg)" in text
    drawn = (tmp_path / "slower/loss.svg").read_text()
    words = {
        element.text for element in xml.etree.ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")
    }
    assert {"old: main", "new: slower", "held-out records", "training records"} <= words
    _, again = run(tmp_path / "slower", "main", "comment")
    assert "No curve changed." in again
    assert not (tmp_path / "slower/loss.svg").exists()  # nor is the earlier one left
    _, away = run(tmp_path / "away", "main", "slower", "--run-url", "https://ci.example/1")
    assert "[files of this run](https://ci.example/1)" in away
    assert "](loss.svg)" not in away


@pytest.mark.parametrize("file", ["src/prompts/templates/alpaca.jinja", "src/training/rounds.py"])
def test_code_that_changed_after_the_run_leaves_nothing_to_tell(copy: Path, tmp_path: Path, file: str) -> None:
    (copy / file).write_text((copy / file).read_text() + "\nnew = 1\n")
    status, text = run(tmp_path, "main")
    assert status == 5
    assert f"were made before `{file if file.endswith('.py') else 'src/prompts/templates'}` changed" in text
    assert f"| `{file}` | changed | `train` |" in text


def test_a_branch_is_judged_by_its_lock_before_dvc_checkout(copy: Path, tmp_path: Path) -> None:
    call(copy, "git", "switch", "-q", "slower")
    assert run(tmp_path, "main")[0] == 3  # the files of main still lie there
    shutil.rmtree(copy / ".dvc/cache")
    status, text = run(tmp_path, "main")
    assert status == 5
    assert "cannot be had" in text.splitlines()[0]


def test_without_answers_it_says_that_no_line_has_an_interval(copy: Path, tmp_path: Path) -> None:
    shutil.rmtree(copy / ".dvc/cache")
    shutil.rmtree(copy / "data/generations")
    status, text = run(tmp_path, "main", "slower")
    assert status == 5
    assert "the answers of `main` and `slower` cannot be had" in text.splitlines()[0]
    assert "`dvc pull data/generations`" in text
    assert "As committed: the answers of `main`, `slower` cannot be had, so no line has an interval." in text
    assert re.search(r"\| BLEU \| no interval \| [\d.]+ \| [\d.]+ \| −[\d.]+ \| – \| – \| – \|", text)
    assert run(tmp_path, "main", "comment")[0] == 0  # dvc.lock tells that they are the same


def test_an_experiment_is_reviewed_by_its_name(copy: Path, tmp_path: Path) -> None:
    head, slower = (call(copy, "git", "rev-parse", name).strip() for name in ("main", "slower"))
    call(copy, "git", "update-ref", f"refs/exps/{head[:2]}/{head[2:]}/slow-rate", slower)
    assert run(tmp_path, "main", "slow-rate")[0] == 3
    call(copy, "git", "switch", "-q", "template")
    assert run(tmp_path, "main", "slow-rate")[0] == 3  # from another commit, and the only one
    template = call(copy, "git", "rev-parse", "template~0").strip()
    call(copy, "git", "update-ref", f"refs/exps/{slower[:2]}/{slower[2:]}/slow-rate", template)
    assert "slow-rate is the name of 2 experiments" in refusal("main", "slow-rate")


def test_a_difference_within_the_seeds_noise_decides_nothing(copy: Path, tmp_path: Path) -> None:
    (copy / NOISE).parent.mkdir()
    scores = ("facts_stated", "facts_wrong", "bleu", "chrf", "rougeL", "chrf_sentence", "answer_loss")
    (copy / NOISE).write_text(
        json.dumps({"seeds": [1, 2, 3], "metrics": {score: {"mean": 1.0, "sd": 100.0} for score in scores}})
    )
    call(copy, "git", "switch", "-q", "slower")
    status, text = run(tmp_path, "main")
    assert status == 5
    assert "what moved is no more than another seed makes" in text.splitlines()[0]
    assert "not chance, but no more than another seed makes" in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere"], "nowhere is no commit, branch, tag or experiment here"),
        (["main", "no-results"], "no-results has no reports/evaluate.json"),
        (["--out", "params.yaml", "main", "comment"], "--out params.yaml cannot be written to"),
    ],
)
def test_what_cannot_be_reviewed_is_refused_in_a_sentence(project: Path, words: list[str], sentence: str) -> None:
    assert refusal(*words).startswith(f"review: {sentence}")


def test_a_folder_without_git_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert "run the review in a clone of the project" in refusal("main")


@pytest.mark.parametrize(
    ("file", "old", "new", "sentence"),
    [
        ("params.yaml", "train:", "train: [", "workspace:params.yaml, line"),
        ("reports/evaluate.json", '"signatures"', "signatures", "workspace:reports/evaluate.json is damaged"),
        (
            "plots/train/validation.tsv",
            "step\tepoch\tloss",
            "step\tepoch\tlost",
            "workspace:plots/train/validation.tsv",
        ),
    ],
)
def test_damaged_files_are_named_with_their_revision(copy: Path, file: str, old: str, new: str, sentence: str) -> None:
    (copy / file).chmod(0o644)
    replace(copy, file, old, new)
    assert refusal("main").startswith(f"review: {sentence}")


class Page(HTMLParser):
    """The elements of a page, and the text outside `code` and in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: set[str] = set()
        self.plain, self.code = "", ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: object) -> None:
        self.elements.add(tag)
        if tag == "code":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "code":
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open:
            self.code += data
        else:
            self.plain += data


def test_texts_are_shown_as_they_are_and_mention_nobody(project: Path, tmp_path: Path) -> None:
    _, text = run(tmp_path, "main", "slower")
    page = Page(MarkdownIt("gfm-like", {"linkify": False}).render(text))
    assert ODD in page.code
    assert "<script>alert(2)</script> ``` @octocat fixes #1 \\| <!-- [x](http://a.example)" in page.code
    assert {"script", "a"}.isdisjoint(page.elements)
    assert not re.search(r"@octocat|#1|alert", page.plain)


def test_names_in_the_verdict_mention_nobody_either(copy: Path, tmp_path: Path) -> None:
    replace(copy, "params.yaml", "train:\n", 'train:\n  "@octocat <b>|`": 1\n')
    _, text = run(tmp_path, "main")
    page = Page(MarkdownIt("gfm-like", {"linkify": False}).render(text))
    assert "train.@octocat <b>|`" in Page(MarkdownIt("gfm-like", {"linkify": False}).render(text.splitlines()[0])).code
    assert "octocat" not in page.plain
    assert "b" not in page.elements


def test_it_is_always_short_enough_for_a_comment(project: Path) -> None:
    review = review_revisions(open_revision("main"), open_revision("slower"))
    assert "<table>" in render_review(review, None)
    answer = ChangedAnswer("&" * 9000, '"' * 9000, "|" * 9000, "<" * 9000, 1.0)
    tuned = dataclasses.replace(review.tuned, answers=[answer] * 40)
    params = [change._replace(new="`|" * 9000) for change in review.params * 9000]
    for large, told in (
        (dataclasses.replace(review, tuned=tuned), "40 answers changed. These are the 3 that gained or lost most"),
        (dataclasses.replace(review, params=params), "more are left out for length"),
        (dataclasses.replace(review, tuned=tuned, params=params), "more are left out for length"),
    ):
        text = render_review(large, None)
        assert 1000 < len(text.encode()) < MOST_BYTES
        assert text.startswith("**Worse**")
        assert told in text


def test_help_is_instant() -> None:
    """It imports nothing of the review."""
    shown = call(Path(command.__file__).parents[2], sys.executable, "-X", "importtime", "-m", "src.review", "--help")
    assert "--fail-on" in shown
    assert not re.search(r"\b(numpy|polars|dvc|jinja2)\b$", shown, re.MULTILINE)
