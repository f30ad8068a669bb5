"""Commands that fail, are killed or take too long; that nothing outlives them, test_gpu.py tests."""

import os
import sys
from pathlib import Path

import pytest

from benchmarks.process_groups import TAIL_LINES, CommandError, run_in_time

ENDS = {
    "sys.exit(3)": "it has printed nothing",
    "print('no GPU'); sys.exit(3)": "no GPU",
    "os.kill(os.getpid(), 9)": "it has printed nothing\nkilled by SIGKILL",
    "print('step 1', flush=True); time.sleep(60)": "step 1\nnot done after 5 s",
    "sys.stdout.buffer.write(b'\\xff no GPU'); sys.exit(3)": "\N{REPLACEMENT CHARACTER} no GPU",
}


def run(code: str, log: Path) -> None:
    command = [sys.executable, "-c", f"import os, sys, time; {code}"]
    run_in_time(command, log, 5 if "sleep" in code else 60, dict(os.environ), log.parent)


@pytest.mark.parametrize(("code", "reason"), ENDS.items(), ids=list(ENDS))
def test_a_command_that_fails_is_told_with_its_reason(tmp_path: Path, code: str, reason: str) -> None:
    with pytest.raises(CommandError) as error:
        run(code, tmp_path / "deep/log")
    assert str(error.value) == reason


def test_the_end_of_a_long_output_is_told(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as error:
        run("print(*range(1000), sep='\\n'); sys.exit(1)", tmp_path / "log")
    assert str(error.value).splitlines() == [str(number) for number in range(1000 - TAIL_LINES, 1000)]


def test_a_command_runs_in_its_folder_and_reads_nothing(tmp_path: Path) -> None:
    run("print(os.getcwd(), repr(sys.stdin.read()))", tmp_path / "log")
    assert (tmp_path / "log").read_text().split() == [str(tmp_path), "''"]
