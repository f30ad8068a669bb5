"""A DVC project of a few files in a folder of its own, for tests of commands that run experiments."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]


class Project:
    """A DVC project in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(folder.with_name("site-cache")),
            **{f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }

    def start(self, files: Mapping[str, str]) -> None:
        """Writes the files, reproduces the pipeline among them, and commits everything."""
        self.folder.mkdir(exist_ok=True)
        self.call("git", "init", "--quiet")
        self.call("dvc", "init", "--quiet")
        for name, text in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text)
        self.call("dvc", "repro", "--quiet")
        self.call("git", "add", "--all")
        self.call("git", "commit", "--quiet", "--message", "start")

    def call(self, *words: str) -> str:
        """The output of a command that has to succeed."""
        completed = subprocess.run(words, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        assert completed.returncode == 0, f"{words}\n{completed.stdout}\n{completed.stderr}"
        return completed.stdout

    def run_module(self, *words: str) -> subprocess.CompletedProcess[str]:
        """What a module of this project does here, by its command line."""
        command = [sys.executable, "-m", *words]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=120
        )

    def stop(self) -> None:
        """Ends what still runs in the queue."""
        subprocess.run(["dvc", "queue", "stop", "--kill"], cwd=self.folder, env=self.environment, capture_output=True)
