"""The votes of the page's visitors: which of them count, and what is told of them."""

import sys
from pathlib import Path
from typing import Any

import pytest

from src.errors import UserError
from src.files import write_jsonl
from src.scoring import blind
from src.scoring.page_votes import PAGE_VOTES, PageVote, page_report, read_page_votes
from src.scoring.votes import Vote, digest
from tests.scoring.rows import generation


def vote(**changes: Any) -> PageVote:
    fields: dict[str, Any] = {
        "uid": "",
        "first": "tuned",
        "second": "base",
        "choice": "first",
        "answers": "a1",
        "title": "Lamp",
    }
    return PageVote(**fields | {"first_answer": "A", "second_answer": "B", "hidden": True, "adapter": "new"} | changes)


def test_hidden_votes_on_the_latest_adapter_count() -> None:
    votes = [vote(adapter="old"), vote(hidden=False), *[vote()] * 3, vote(choice="second"), vote(choice="tie")]
    left_out, told = page_report(votes, ["base", "tuned"])
    assert left_out == "2 votes of the page left out: on an earlier model, or given while its name was seen."
    assert told.startswith("On the page: base is preferred to tuned in 30.0%")
    assert "5 votes, a tie being half: 1 for base, 3 for tuned, 1 tie." in told


@pytest.mark.parametrize("systems", [["few_shot", "base"], ["few_shot", "nearest"]])
def test_votes_on_other_systems_do_not_count(systems: list[str]) -> None:
    assert list(page_report([vote()], systems)) == []


def test_a_line_that_is_no_vote_is_named(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "votes.jsonl", [vote().model_dump(), vote().model_dump() | {"hidden": "yes"}])
    with pytest.raises(UserError, match=r"votes\.jsonl:2: hidden: .* correct that line, or remove it"):
        read_page_votes(tmp_path / "votes.jsonl")


def test_the_blind_test_reports_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for system in ("base", "tuned"):
        write_jsonl(f"data/generations/{system}.jsonl", [generation(uid="B1", answer=system).model_dump()])
    monkeypatch.setattr(sys, "argv", ["blind", "--report"])
    with pytest.raises(SystemExit, match="no vote on these systems' present answers"):
        blind.main()
    write_jsonl(PAGE_VOTES, [vote().model_dump()] * 4)
    blind.main()
    assert capsys.readouterr().out.startswith("On the page: base is preferred to tuned in 0.0%")
    own = Vote(uid="B1", first="base", second="tuned", choice="first", answers=digest("A lamp", "base", "tuned"))
    write_jsonl(blind.VOTES, [own.model_dump()])
    blind.main()
    told, of_page = capsys.readouterr().out.splitlines()
    assert told.startswith("base is preferred to tuned in 100.0%")
    assert of_page.startswith("On the page: base is preferred to tuned in 0.0%")
