"""Secrets that tests plant in the environment, and the search for them in all that a command leaves behind.

Covers files, git's objects and printed text, secrets as they are and in Base64. In no source file: a value is computed.
"""

import base64
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

# What the project, DVC, its storages, the hub, W&B, the clients of services and of git take from the environment.
VARIABLES = (
    *("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_WEBHOOK_SECRET", "AZURE_OPENAI_API_KEY", "SOME_KEY"),
    *("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "WANDB_API_KEY", "GITHUB_TOKEN", "GH_TOKEN", "CI_JOB_TOKEN"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GDRIVE_CREDENTIALS_DATA"),
    *("AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN", "AZURE_CLIENT_SECRET"),
    *("SKYPILOT_SERVICE_ACCOUNT_TOKEN", "KAGGLE_KEY", "SHELFTALK_API_KEY", "SHELFTALK_PASSWORD"),
)
MARK = sha256(b"a secret that is planted").hexdigest()[:24].encode()  # which all of them hold
PLANTED = {name: f"{MARK.decode()}{number:016d}" for number, name in enumerate(VARIABLES)}


def encoded(mark: bytes) -> Iterator[bytes]:
    """A text as it stands in Base64, at each of the three places that it may have among the bytes before it."""
    for before in range(3):
        whole = base64.b64encode(b"-" * before + mark)
        yield whole[2 * before : len(whole) // 4 * 4 - 4]  # without what the neighbours have a part in


FORMS = (MARK, *encoded(MARK))


def holds_secret(content: bytes) -> bool:
    """Whether some bytes hold a planted secret."""
    return any(form in content for form in FORMS)


class Watch:
    """A folder that is searched again and again, and each time only what is new in it.

    Args:
        folder: with all that commands write: the project, homes, caches and remotes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: set[tuple[int, int, int]] = set()
        self.objects: set[str] = set()

    def found(self) -> list[str]:
        """Where a planted secret is."""
        files = [path for path in self.folder.rglob("*") if path.is_file() and not path.is_symlink()]
        repositories = {path.parent for path in files if path.name == "HEAD" and (path.parent / "objects").is_dir()}
        return [*filter(self.in_file, map(str, files)), *(str(one) for one in repositories if self.in_objects(one))]

    def in_file(self, path: str) -> bool:
        """Whether a file that is new or has changed holds one."""
        try:
            status = Path(path).stat()
            identity = (status.st_ino, status.st_size, status.st_mtime_ns)
            if identity in self.seen:
                return False
            content = Path(path).read_bytes()
        except FileNotFoundError:  # a process that runs on may have removed it meanwhile
            return False
        self.seen.add(identity)
        return holds_secret(content)

    def in_objects(self, repository: Path) -> bool:
        """Whether a new object of a git repository holds one: loose or packed, of experiments and of stashes too."""
        git = ["git", "--git-dir", str(repository), "cat-file", "--batch-all-objects"]
        listed = subprocess.run([*git, "--batch-check=%(objectname)"], capture_output=True, text=True, check=True)
        new = set(listed.stdout.split()) - self.objects
        self.objects |= new
        names = "\n".join(sorted(new)).encode()
        return holds_secret(subprocess.run([*git[:4], "--batch"], input=names, capture_output=True, check=True).stdout)
