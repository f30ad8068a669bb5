"""The scratch project with its pull requests, made once for all tests of the review."""

from pathlib import Path

import pytest

from tests.review.project import COMMENTED, commit, commit_results, make_project, propose, replace
from tests.scratch import call


@pytest.fixture(scope="session")
def proposals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with the branches main, slower, comment, template, and two without results of their own."""
    folder = make_project(tmp_path_factory.mktemp("review"))
    propose(folder, "slower")
    replace(folder, "params.yaml", "lr: 1.0e-3 ", "lr: 1.0e-4 ")
    commit_results(folder, "Learn more slowly")
    propose(folder, "comment")
    (folder / COMMENTED).write_text(f"{(folder / COMMENTED).read_text()}# A comment.\n")
    commit_results(folder, "Explain the rounds")
    propose(folder, "template")
    replace(folder, "params.yaml", "template: chat", "template: alpaca")
    commit_results(folder, "Use another template")
    propose(folder, "not-run")
    replace(folder, "params.yaml", "lr: 1.0e-3 ", "lr: 5.0e-3 ")
    commit(folder, "Learn faster, and do not look")
    propose(folder, "unexplained")
    (folder / COMMENTED).write_text(f"{(folder / COMMENTED).read_text()}# Another comment.\n")
    commit(folder, "Comment, and run nothing")
    propose(folder, "no-results")
    call(folder, "git", "rm", "-rq", "reports")
    commit(folder, "Remove the reports")
    call(folder, "git", "switch", "-q", "main")
    call(folder, "dvc", "checkout", "-q")
    return folder
