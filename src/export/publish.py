"""Publishes the exported model on a hub: models/export, the model card as its README.md, the licence of its base.

Covers which files go up, what has to be in order before any does, and the upload by huggingface_hub. The token is the
hub's own (HF_TOKEN, or `hf auth login`); nothing here reads, keeps or prints it.

    python -m src.export.publish OWNER/NAME --dry-run          # lists files and sizes; needs no network
    python -m src.export.publish OWNER/NAME --private
    python -m src.export.publish OWNER/NAME --forms q8_0 lora  # the adapter goes up in any case
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from src.errors import UserError
from src.export import refusals
from src.export.card_forms import MEGABYTE
from src.export.forms import BY_NAME
from src.export.model_card import EXPORTED_ADAPTER
from src.models.refusals import odd_token

if TYPE_CHECKING:
    from huggingface_hub import HfApi

EXPORT, CARD, BASE = Path("models/export"), Path("models/MODEL_CARD.md"), Path("models/base")
README, MODELFILE = "README.md", "Modelfile"
LICENCES = ("LICENSE*", "USE_POLICY*", "NOTICE*")  # of the base, which its own licence may ask for
STAGES = ("export", "model_card")
PLACEHOLDERS = re.compile(r"TODO|FIXME|OWNER/NAME|\[More Information Needed\]|<your[^>]*>", re.IGNORECASE)

Files = dict[str, Path]  # what goes up, by its path in the repository


def published_files(forms: Sequence[str] | None) -> Files:
    """What goes up, the README.md apart, in the order of the paths.

    Without serving.json, whose titles are of the data.

    Args:
        forms: names of BY_NAME; None takes those that are there. The adapter always goes.

    Raises:
        UserError: if there is no export, or it lacks a form.
    """
    if not (EXPORT / "adapter").is_dir():
        raise refusals.missing_export(EXPORT / "adapter")
    present = [name for name, form in BY_NAME.items() if all((EXPORT / file).exists() for file in form.files)]
    chosen = present if forms is None else ["adapter", *forms]
    if lacking := [name for name in chosen if name not in present]:
        raise refusals.missing_forms(lacking, present)
    paths = [EXPORT / file for name in chosen for file in BY_NAME[name].files]
    found = [path for top in paths for path in (sorted(top.rglob("*")) if top.is_dir() else [top]) if path.is_file()]
    files = {path.relative_to(EXPORT).as_posix(): path for path in found} | licence_files()
    if names_one_of(EXPORT / MODELFILE, files):
        files[MODELFILE] = EXPORT / MODELFILE
    return dict(sorted(files.items()))


def licence_files() -> Files:
    """The texts of the base's licence that came with it."""
    return {path.name: path for pattern in LICENCES for path in BASE.glob(pattern) if path.is_file()}


def names_one_of(modelfile: Path, files: Files) -> bool:
    """Whether a Modelfile takes a GGUF that goes up.

    Args:
        modelfile: its path.
        files: what goes up.
    """
    first = modelfile.read_text(encoding="utf-8").partition("\n")[0] if modelfile.is_file() else ""
    return first.removeprefix("FROM ./") in files


def published_card(repository: str) -> str:
    """The model card as the README.md of a repository: it loads the adapter from there.

    Args:
        repository: owner/name.

    Raises:
        UserError: if there is no card, its metadata tells no licence, or a placeholder is left in it.
    """
    from huggingface_hub import ModelCard

    if not CARD.is_file():
        raise refusals.missing_export(CARD)
    text = CARD.read_text(encoding="utf-8")
    if (ModelCard(text).data.get("license") or "unknown") == "unknown":
        raise refusals.unknown_licence()
    if left := PLACEHOLDERS.search(text):
        raise refusals.left_placeholder(str(CARD), left[0])
    return text.replace(f'"{EXPORTED_ADAPTER}"', f'"{repository}", subfolder="{Path(EXPORTED_ADAPTER).name}"')


def check_current() -> None:
    """Makes sure that export and card are those of dvc.lock, and are up to date with what they are made from.

    Raises:
        UserError: telling what changed.
    """
    command = [sys.executable, "-m", "dvc", "status", "--json", *STAGES]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"DVC_NO_ANALYTICS": "1"})
    if done.returncode:
        raise refusals.no_status((done.stderr.strip().splitlines() or ["no reason given"])[-1])
    changed = {stage: changes for stage, changes in json.loads(done.stdout).items() if changes}
    if changed:
        raise refusals.not_current(changed_paths(changed))


def changed_paths(status: dict[str, list[object]]) -> list[str]:
    """The files and parameters that `dvc status` found changed.

    Args:
        status: its answer; of each stage groups of changes, "changed command" as a bare word.
    """
    groups = [group for changes in status.values() for group in changes if isinstance(group, dict)]
    return sorted({path for group in groups for paths in group.values() for path in paths}) or list(status)


def current_commit() -> str:
    """The commit that is checked out, marked where files differ from it; "an unknown commit" outside of git."""
    described = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True)
    return described.stdout.strip() or "an unknown commit"


def list_files(files: Files, readme: str) -> None:
    """Prints what goes up, with sizes.

    Args:
        files: by path in the repository.
        readme: the card.
    """
    sizes = {README: len(readme.encode())} | {name: path.stat().st_size for name, path in files.items()}
    for name, size in sorted(sizes.items()):
        print(f"{size / MEGABYTE:>12,.3f} MB  {name}")
    print(f"{sum(sizes.values()) / MEGABYTE:>12,.3f} MB  in {len(sizes)} files")


def upload(api: "HfApi", repository: str, private: bool, files: Files, readme: str) -> str:
    """Uploads to a repository, which is made if it is not there; gives the address of the commit.

    What the hub has already is not sent again, so that the same command goes on after an interruption.

    Args:
        api: the hub, with the token that is used.
        repository: owner/name.
        private: whether others may not see it.
        files: what goes up, by path in the repository.
        readme: the card.

    Raises:
        UserError: if the hub cannot be reached, or refuses.
    """
    from httpx import HTTPError

    # Raised only below, outside of the handler: an error that is handled, and with it the request's token, would stay
    # in the new one's chain.
    try:
        api.create_repo(repository, private=private or None, exist_ok=True)
        if not private or api.model_info(repository).private:
            return send(api, repository, files, readme)
        refusal = refusals.public_repository(repository)
    except (HTTPError, ConnectionError, ValueError, RuntimeError) as error:
        refusal = explain_failure(error, repository)
    raise refusal


def explain_failure(error: BaseException, repository: str) -> UserError:
    """What huggingface_hub raises, as a sentence.

    Args:
        error: its error; around one of a thread it puts a RuntimeError.
        repository: owner/name.
    """
    from httpx import HTTPError
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, UnicodeEncodeError):
        return odd_token()
    if isinstance(error, RuntimeError) and error.__cause__:
        return explain_failure(error.__cause__, repository)
    if isinstance(error, HfHubHTTPError):
        return refusals.refused_by_hub(repository, error.response.status_code)
    if isinstance(error, HTTPError | ConnectionError):
        return refusals.unreachable_hub(type(error).__name__)
    return refusals.unusable_upload(" ".join(str(error).split()) or type(error).__name__)


def send(api: "HfApi", repository: str, files: Files, readme: str) -> str:
    """Sends the files as one commit, or several where they are many; gives the address of the last.

    Args:
        api: the hub.
        repository: owner/name, which is there.
        files: what goes up, by path in the repository.
        readme: the card.
    """
    with TemporaryDirectory() as folder:
        for name, path in files.items():
            place = Path(folder, name)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(path.resolve())
        Path(folder, README).write_text(readme, encoding="utf-8")
        message = f"Publish the model of commit {current_commit()}"
        return str(api.upload_folder(repo_id=repository, folder_path=folder, commit_message=message).commit_url)


def publish(arguments: argparse.Namespace) -> None:
    """Lists what goes up, and uploads it unless it is a dry run.

    Args:
        arguments: of the command line.

    Raises:
        UserError: if something is not in order, before any upload, or the hub refuses.
    """
    refusals.refuse_repository_name(arguments.repository)
    files, readme = published_files(arguments.forms), published_card(arguments.repository)
    check_current()
    list_files(files, readme)
    if arguments.dry_run:
        print(f"A dry run: nothing was sent to {arguments.repository}.")
        return
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    from huggingface_hub import HfApi, get_token

    if not get_token():
        raise refusals.no_token()
    print(upload(HfApi(), arguments.repository, arguments.private, files, readme))


def main() -> None:
    """Publishes by the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m src.export.publish",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("repository", metavar="OWNER/NAME", help="on the hub; made if it is not there")
    parser.add_argument("--dry-run", action="store_true", help="only list files and sizes; needs no network")
    parser.add_argument("--private", action="store_true", help="a repository that others do not see")
    parser.add_argument("--forms", nargs="+", choices=BY_NAME, metavar="FORM", help=f"of {', '.join(BY_NAME)}")
    try:
        publish(parser.parse_args())
    except UserError as error:
        sys.exit(f"publish: {error}")
    except OSError as error:
        sys.exit(f"publish: {error.filename}: {error.strerror}.")
    except KeyboardInterrupt:
        sys.exit("\npublish: interrupted: the same command goes on from there.")


if __name__ == "__main__":
    main()
