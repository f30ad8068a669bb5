"""The blind test: balanced and repeatable questions, votes kept as they come, nothing told before the end."""

import io
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from src.errors import UserError
from src.files import read_jsonl, write_jsonl
from src.scoring import blind
from src.scoring.votes import Vote, digest, report_lines
from tests.scoring.rows import generation

ROOT = Path(__file__).parents[2]
UIDS = [f"B{number:02}" for number in range(12)]
SYSTEMS = ("base", "tuned", "few_shot")
HIDDEN = "data/votes.jsonl"


def write_answers(system: str, folder: str = "", **answers: str) -> None:
    """Writes a system's answers; those not given say whose they are, in a secret of the test."""
    rows = (generation(uid=uid, title=f"Lamp {uid}", answer=answers.get(uid, f"{CODES[system]} {uid}")) for uid in UIDS)
    write_jsonl(f"data/generations/{folder}{system}.jsonl", (row.model_dump() for row in rows))


CODES = {"base": "xyz", "tuned": "uvw", "few_shot": "rst", "other": "opq"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the answers of three systems, as the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "60")
    for system in SYSTEMS:
        write_answers(system)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, capsys: Any, typed: str, *arguments: str) -> str:
    """What the command prints when lines are typed."""
    monkeypatch.setattr(sys, "argv", ["blind", *arguments])
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    blind.main()
    return capsys.readouterr().out


def votes() -> list[Vote]:
    return [Vote.model_validate(row) for row in read_jsonl(HIDDEN)]


def prefer(system: str, asked: list[blind.Question]) -> str:
    """The lines of a person who likes a system wherever it is."""
    return "".join("a\n" if one.first == system else "b\n" if one.second == system else "t\n" for one in asked)


def test_questions_are_balanced_wherever_a_person_stops() -> None:
    answers = {
        system: {uid: generation(uid=uid, answer=f"{system} {uid}") for uid in map(str, range(300))}
        for system in SYSTEMS
    }
    drawn = blind.draw_questions(answers, seed=0)
    assert len(set(drawn)) == len(drawn) == 900
    for stop in (3, 10, 300, 500, 900):
        pairs = Counter(frozenset((one.first, one.second)) for one in drawn[:stop])
        assert max(pairs.values()) - min(pairs.values()) <= 2
    assert len({one.uid for one in drawn[:300]}) == 300
    shown_first = Counter(one.first for one in drawn)
    assert all(250 < count < 350 for count in shown_first.values())
    assert drawn == blind.draw_questions(answers, seed=0) != blind.draw_questions(answers, seed=1)


def test_nothing_is_told_before_all_is_voted_on(project: Path, monkeypatch: Any, capsys: Any) -> None:
    early = run(monkeypatch, capsys, "a\nb\nt\ns\nq\n")
    assert "4 votes kept in data/votes.jsonl, 8 pairs left: run it again." in early
    assert not any(word in early for word in ("base", "tuned", "preferred"))
    assert "A\nxyz" in early and "A\nuvw" in early
    late = run(monkeypatch, capsys, "a\n" * 8)
    assert "All 12 pairs of different answers are voted on." in late
    assert "base is preferred to tuned in" in late.splitlines()[-1]
    assert [vote.choice for vote in votes()] == ["first", "second", "tie", "skip", *["first"] * 8]


def test_votes_go_to_the_system_that_was_shown(project: Path, monkeypatch: Any, capsys: Any) -> None:
    asked = blind.draw_questions(blind.read_answers(["base", "tuned"]), seed=7)
    told = run(monkeypatch, capsys, prefer("tuned", asked), "--systems", "tuned", "base", "--seed", "7")
    assert "tuned is preferred to base in 100.0% (75.8 to 100.0) of 12 votes, a tie being half: 12 for tuned" in told
    report = run(monkeypatch, capsys, "", "--report")
    assert "base is preferred to tuned in 0.0% (0.0 to 24.2) of 12 votes, a tie being half: 0 for base" in report


def test_three_systems_are_ranked_by_their_strengths(project: Path, monkeypatch: Any, capsys: Any) -> None:
    asked = blind.draw_questions(blind.read_answers(SYSTEMS), seed=0)
    lines = run(monkeypatch, capsys, prefer("few_shot", asked), "--systems", *SYSTEMS).splitlines()
    assert "few_shot" in lines[-3]
    assert lines[-4].startswith("Strengths (Bradley-Terry")
    assert any("base is preferred to tuned in 50.0%" in line and "12 ties" in line for line in lines)
    pairs = run(monkeypatch, capsys, "", "--report", "--systems", "base", "tuned").splitlines()
    assert len(pairs) == 1


def test_pairs_without_votes_are_named() -> None:
    vote = Vote(uid="1", first="base", second="tuned", choice="first", answers="")
    lines = list(report_lines([blind.comparisons([vote])[0]], SYSTEMS))
    assert lines[1] == "base and few_shot: no votes."


def test_what_is_typed_wrong_is_asked_again(project: Path, monkeypatch: Any, capsys: Any) -> None:
    told = run(monkeypatch, capsys, "x\n\n7\nB \n TIE\n")  # and then the end of the input
    assert told.count("Type a, b, t(ie), s(kip) or q(uit)") == 3
    assert [vote.choice for vote in votes()] == ["second", "tie"]


def test_a_vote_on_answers_that_have_changed_does_not_count(project: Path, monkeypatch: Any, capsys: Any) -> None:
    run(monkeypatch, capsys, "a\na\na\n")
    changed = votes()[1].uid
    write_answers("tuned", **{changed: "another answer"})
    report = run(monkeypatch, capsys, "", "--report")
    assert "1 vote in data/votes.jsonl on answers that have changed since: left out." in report
    assert "of 2 votes" in report
    again = run(monkeypatch, capsys, "a\nq\n")
    assert changed in again  # it is asked again, and first
    assert len(votes()) == 4 and votes()[-1].uid == changed


def test_a_vote_counts_whichever_answer_stood_first(project: Path, monkeypatch: Any, capsys: Any) -> None:
    run(monkeypatch, capsys, "a\n" * 12)
    assert "All 12 pairs" in run(monkeypatch, capsys, "", "--seed", "5")


def test_equal_answers_are_not_shown(project: Path, monkeypatch: Any, capsys: Any) -> None:
    write_answers("tuned", **{uid: f"xyz {uid}" for uid in UIDS[:10]})
    assert "All 2 pairs of different answers" in run(monkeypatch, capsys, "a\n" * 2)


def test_systems_of_all_folders_can_be_compared(project: Path, monkeypatch: Any, capsys: Any) -> None:
    write_answers("other", "endpoints/")
    assert "12 pairs left" in run(monkeypatch, capsys, "q\n", "--systems", "tuned", "other")


def test_text_cannot_move_the_cursor_and_is_wrapped(project: Path) -> None:
    shown = blind.shown_pair("Lamp\x1b[2J", "\x1b]0;title\x07 word" * 30 + "\r\nB\n\u202e\u200b", "")
    assert not set("\x1b\x07\r\u202e\u200b") & set(shown)
    assert max(map(len, shown.splitlines())) <= 60
    assert shown.count("\nB\n") == 1 and shown.endswith("\nB\n(empty)\n")


FAULTS: dict[str, tuple[tuple[str, ...], str]] = {
    "alone": (("--systems", "base"), r"blind: --systems needs two or more different names"),
    "twice": (("--systems", "base", "base"), r"blind: --systems needs two or more different names"),
    "missing": (
        ("--systems", "base", "gone"),
        r"has no answers of gone: run `dvc pull` or, .* `dvc repro`. Answers are there of base, few_shot, tuned\.",
    ),
    "no votes": (("--report",), r"data/votes.jsonl holds no vote on these systems' present answers: vote first"),
    "folder": (("--votes", "data"), r"blind: data: Is a directory"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_a_sentence(project: Path, monkeypatch: Any, capsys: Any, name: str) -> None:
    arguments, sentence = FAULTS[name]
    with pytest.raises(SystemExit, match=sentence):
        run(monkeypatch, capsys, "a\n", *arguments)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ('{"uid": "1"}', r"votes\.jsonl:1: first: Field required: correct that line, or remove it"),
        ("[1]", r"votes\.jsonl:1: the line: Input should be"),
        ("no", r"votes\.jsonl:1 is damaged: correct that line"),
    ],
)
def test_a_damaged_vote_is_a_sentence(project: Path, monkeypatch: Any, capsys: Any, row: str, sentence: str) -> None:
    Path(HIDDEN).write_text(f"{row}\n")
    with pytest.raises(SystemExit, match=sentence):
        run(monkeypatch, capsys, "a\n")


def test_without_any_generations_the_sentence_says_how_to_get_them(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"run `dvc pull` or, .* There are none of any system\."):
        blind.read_answers(["base", "tuned"])


def test_a_digest_is_of_all_three_texts() -> None:
    texts = [("t", "a", "b"), ("t", "b", "a"), ("u", "a", "b"), ("t", "a", "c"), ("t", "ab", "")]
    assert len({digest(*each) for each in texts}) == len(texts)


def test_it_works_in_a_pipe(project: Path) -> None:
    keys = "".join(Random(1).choice("abt") + "\n" for _ in range(5))
    ran = subprocess.run(
        [sys.executable, "-m", "src.scoring.blind"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        input=keys,
        text=True,
        capture_output=True,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "5 votes kept in data/votes.jsonl, 7 pairs left" in ran.stdout
    assert len(votes()) == 5
