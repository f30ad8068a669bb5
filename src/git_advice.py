"""What git has to be told after a run: which results belong in one commit, and that HEAD is on no branch.

Covers two things that DVC leaves undone. It stages dvc.lock by itself and nothing else (core.autostage), and a commit
of that alone has the metrics and plots of another run. And `dvc exp run`, where it is killed, leaves HEAD detached.
"""

import subprocess
from collections.abc import Iterator

LOCK = "dvc.lock"


def git_advice() -> Iterator[str]:
    """Sentences for the end of a run; none where git has nothing to be told, or is not there."""
    changed = git_output("status", "--porcelain", "--untracked-files=no")
    if changed is None:
        return
    if any(line[3:] == LOCK for line in changed.splitlines()):
        yield (
            f"Results changed: `git add -u` and `git commit` keep all of them together. DVC has staged {LOCK} alone."
        )
    if git_output("symbolic-ref", "--quiet", "HEAD") is None:
        yield (
            "HEAD is on no branch, as a killed `dvc exp run` leaves it: `git switch BRANCH` goes back and keeps what "
            "changed."
        )


def git_output(*words: str) -> str | None:
    """What git prints; None where it fails, or is not installed."""
    try:
        done = subprocess.run(["git", *words], capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
