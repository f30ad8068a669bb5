"""The workflow that posts reviews: its actions are pinned, its rights least, its comment one that is updated."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from src.review import render
from src.review.__main__ import parse_arguments

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github/workflows/review.yml"
TEMPLATE = ROOT / "src/review" / render.TEMPLATE
# Stands in for GitHub's command: lists the comments that FOUND names, and keeps how it was called.
GH = '#!/bin/bash\necho "$@" >> "$CALLS"\ncase "$*" in *--paginate*) printf "%s" "$FOUND";; esac\n'


@pytest.fixture(scope="module")
def jobs() -> dict[str, Any]:
    return dict(YAML(typ="safe").load(WORKFLOW)["jobs"])


def step(job: dict[str, Any], name: str) -> dict[str, Any]:
    """The step of a job that has a name."""
    return next(one for one in job["steps"] if one.get("name") == name)


def test_actions_are_pinned_by_commit(jobs: dict[str, Any]) -> None:
    used = [one["uses"] for job in jobs.values() for one in job["steps"] if "uses" in one]
    assert used
    assert [action for action in used if not re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", action)] == []


def test_what_may_write_runs_none_of_the_pull_requests_code(jobs: dict[str, Any]) -> None:
    assert YAML(typ="safe").load(WORKFLOW)["permissions"] == {}
    assert jobs["review"]["permissions"] == {"contents": "read"}
    assert jobs["comment"]["permissions"] == {"pull-requests": "write"}
    assert not any("checkout" in one.get("uses", "") for one in jobs["comment"]["steps"])
    assert "head.repo.full_name == github.repository" in jobs["comment"]["if"]
    # What a pull request may choose is never pasted into a script.
    assert "${{" not in "".join(one.get("run", "") for job in jobs.values() for one in job["steps"])


def test_the_command_line_is_one_that_the_review_takes(jobs: dict[str, Any]) -> None:
    line = re.search(r"-m src\.review (.*) \|\|", step(jobs["review"], "Review")["run"])
    assert line
    arguments = parse_arguments([word.strip('"') for word in line[1].split()])
    assert (arguments.old, arguments.new, arguments.fail_on) == ("$BASE", "workspace", ["worse"])


@pytest.mark.parametrize(("found", "method"), [("17\n18\n", "PATCH edited/17"), ("", "POST comments")])
def test_there_is_one_comment_which_is_updated(tmp_path: Path, jobs: dict[str, Any], found: str, method: str) -> None:
    (tmp_path / "gh").write_text(GH)
    (tmp_path / "gh").chmod(0o755)
    posting = step(jobs["comment"], "Write the comment, or update it")
    own = {"COMMENTS": "comments", "EDITED": "edited", "OURS": posting["env"]["OURS"], "FOUND": found}
    environment = os.environ | own | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CALLS": str(tmp_path / "calls")}
    subprocess.run(["bash", "-e", "-o", "pipefail", "-c", posting["run"]], env=environment, check=True)
    listed, posted = (tmp_path / "calls").read_text().splitlines()
    assert posting["env"]["OURS"] in listed
    assert posted == f"api --silent --method {method} --field body=@review/review.md"


def test_the_comment_is_known_by_the_reviews_last_line(jobs: dict[str, Any]) -> None:
    mark = TEMPLATE.read_text(encoding="utf-8").splitlines()[-1]
    assert mark.startswith("<!--")
    assert mark in step(jobs["comment"], "Write the comment, or update it")["env"]["OURS"]
