"""Why two revisions cannot be reviewed, in a sentence each."""

from collections.abc import Sequence

from src.errors import UserError


def git_missing(reason: str) -> UserError:
    """The error where git cannot be asked at all.

    Args:
        reason: git's own, or the system's.
    """
    return UserError(
        f"git cannot be asked for a revision ({reason.strip()}): install git, and run the review in a clone of the "
        "project, in its top folder."
    )


def unknown_revision(name: str) -> UserError:
    """The error for a name that is no commit, branch, tag or experiment."""
    return UserError(
        f"{name} is no commit, branch, tag or experiment here: `git branch --all` and `dvc exp list --all-commits` "
        "list what there is; in a shallow clone, `git fetch --unshallow` brings the rest."
    )


def ambiguous_experiment(name: str, commits: Sequence[str]) -> UserError:
    """The error for an experiment's name that several commits have.

    Args:
        name: as it was given.
        commits: the experiments' own, any of which can be given instead.
    """
    return UserError(
        f"{name} is the name of {len(commits)} experiments, from several commits and not from this one: give one of "
        f"{', '.join(commit[:12] for commit in commits)} instead."
    )


def results_missing(name: str, file: str) -> UserError:
    """The error for a revision without results to review.

    Args:
        name: the revision's.
        file: what it lacks.
    """
    return UserError(
        f"{name} has no {file}, from which a review takes its figures: it is older than this layout of the project, or "
        "its results were not committed. Choose a later revision, or run `dvc repro` and commit what it writes."
    )


def invalid_yaml(place: str, error: Exception) -> UserError:
    """The error for a YAML file that cannot be read.

    Args:
        place: revision and file.
        error: the parser's.
    """
    mark = getattr(error, "problem_mark", None)
    line = f", line {mark.line + 1}" if mark else ""
    reason = (str(getattr(error, "problem", None) or error).splitlines() or [""])[0]
    return UserError(f"{place}{line}: is not valid YAML ({reason}): correct it, or choose another revision.")
