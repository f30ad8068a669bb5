"""A revision of the project: a commit, a DVC experiment or the workspace, whose files can be read.

Covers finding it by its name, the files that git keeps, and those that DVC keeps. Does not know what is in them.
"""

import functools
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from src.review.refusals import ambiguous_experiment, git_missing, unknown_revision

if TYPE_CHECKING:
    from dvc.api import DVCFileSystem
    from dvc.fs import DataFileSystem

WORKSPACE = "workspace"  # what DVC calls the files as they lie there, too
EXPERIMENTS = "refs/exps"  # where DVC keeps them: refs/exps/ab/cdef.../NAME, below the commit that they started from
STATUS = {"A": "added", "D": "removed"}  # git's letters; all others are changes


@dataclass(frozen=True)
class Revision:
    """A revision whose files can be read.

    Attributes:
        name: as the user gave it.
        commit: its hash; None for the workspace.
    """

    name: str
    commit: str | None

    def read(self, path: str) -> bytes | None:
        """What git keeps at a path, in the workspace what lies there; None where there is nothing."""
        if self.commit is None:
            return Path(path).read_bytes() if Path(path).is_file() else None
        shown = run_git("cat-file", "blob", f"{self.commit}:./{path}")  # `git show` lists a folder
        return shown.stdout if shown.returncode == 0 else None

    def files(self, folder: str) -> list[str]:
        """The files that git keeps in a folder, in the workspace new ones as well, in alphabetical order."""
        if self.commit is None:
            listed = run_git("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", folder)
            return sorted(path for path in set(split_names(listed.stdout)) if Path(path).is_file())
        return sorted(split_names(run_git("ls-tree", "-rz", "--name-only", self.commit, "--", folder).stdout))

    @functools.cached_property
    def tracked(self) -> "DVCFileSystem":
        """The files that DVC keeps, from the workspace, its cache or its remote."""
        from dvc.api import DVCFileSystem

        return DVCFileSystem(rev=self.commit)

    def find_tracked(self, folder: str) -> list[str]:
        """The files in a folder that DVC keeps, in alphabetical order; none where it cannot tell."""
        with suppress(Exception):  # no DVC project, no folder, a remote that does not answer: all of them have none
            return sorted(self.tracked.find(folder))
        return []

    @functools.cached_property
    def locked(self) -> "DataFileSystem":
        """The same files as dvc.lock has them, of which the workspace's may be another branch's."""
        return self.tracked.repo.datafs

    def read_tracked(self, path: str) -> bytes | None:
        """What DVC keeps at a path; None where neither the workspace, its cache nor a remote has it."""
        for files in ("locked", "tracked") if self.commit is None else ("tracked",):
            with suppress(Exception):  # each kind of remote fails in its own way, and all mean that it cannot be had
                return bytes(getattr(self, files).read_bytes(path))
        return None


def open_revision(name: str) -> Revision:
    """The revision of a name: anything that git knows, or an experiment's.

    Raises:
        UserError: if there is none, or git cannot be asked.
    """
    require_git()
    if name == WORKSPACE:
        return Revision(name, None)
    return Revision(name, find_commit(name) or find_experiment(name))


def require_git() -> None:
    """Makes sure that this is a git repository.

    Raises:
        UserError: with git's reason.
    """
    asked = run_git("rev-parse", "--git-dir")
    if asked.returncode:
        raise git_missing(asked.stderr.decode(errors="replace"))


def find_commit(name: str) -> str | None:
    """The hash of the commit that git knows by a name, None if it knows none."""
    found = run_git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    return found.stdout.decode().strip() if found.returncode == 0 else None


def find_experiment(name: str) -> str:
    """The commit of a DVC experiment, of several with the name that which started from HEAD.

    Raises:
        UserError: if there is none, or several and none from HEAD.
    """
    listed = run_git("for-each-ref", "--format=%(objectname) %(refname)", EXPERIMENTS).stdout.decode().splitlines()
    commits = {ref: commit for commit, ref in map(str.split, listed) if ref.split("/", 4)[4:] == [name]}
    head = find_commit("HEAD") or ""
    of_head = commits.get(f"{EXPERIMENTS}/{head[:2]}/{head[2:]}/{name}")
    if of_head or len(commits) == 1:
        return of_head or next(iter(commits.values()))
    raise ambiguous_experiment(name, sorted(commits.values())) if commits else unknown_revision(name)


def changed_files(old: Revision, new: Revision, places: Sequence[str]) -> dict[str, str]:
    """The files that differ between two revisions, new ones that git does not know yet among them.

    Args:
        old: one of them.
        new: the other.
        places: files and folders to look at.

    Returns:
        By path, in alphabetical order: added, removed or changed.
    """
    commits = [revision.commit for revision in (old, new) if revision.commit]
    if not commits:
        return {}
    turned = [] if old.commit else ["-R"]  # git compares a commit with the workspace, in this order
    fields = split_names(
        run_git("diff", *turned, "--no-renames", "--relative", "--name-status", "-z", *commits, "--", *places).stdout
    )
    changed = {path: STATUS.get(letter, "changed") for letter, path in zip(fields[::2], fields[1::2], strict=True)}
    if len(commits) == 1:
        unknown = run_git("ls-files", "-z", "--others", "--exclude-standard", "--", *places).stdout
        changed |= dict.fromkeys(split_names(unknown), "added" if old.commit else "removed")
    return dict(sorted(changed.items()))


def split_names(output: bytes) -> list[str]:
    """What git lists with -z, which leaves odd characters in names as they are."""
    return [name for name in output.decode(errors="replace").split("\0") if name]


def run_git(*words: str) -> "subprocess.CompletedProcess[bytes]":
    """A git command that has run; whether it failed is the caller's to see.

    Raises:
        UserError: if there is no git.
    """
    try:
        return subprocess.run(["git", *words], capture_output=True)
    except OSError as error:
        raise git_missing(str(error)) from None
