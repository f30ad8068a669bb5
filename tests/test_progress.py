"""Bars: whole in a terminal, gone behind themselves, and none in a log."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.progress import describe_seconds
from tests.terminal import Terminal, frames, screen

ROOT = Path(__file__).parents[1]
WIDTH = 100
PROGRAM = """
import os
from src.progress import activity, library_settings, print_line, progress_bar
os.environ.update(library_settings())
with progress_bar("Answering", 20_000, "prompts") as bar:
    bar.update(5_000)
    print_line("a line")
    bar.update(15_000)
with progress_bar("Training", 8, "steps", done=4, figures=True) as bar:
    bar.set_postfix_str("loss 0.500, 900 tokens/s")
with activity("Merging"):
    from tqdm import tqdm  # as libraries use it
    list(tqdm(range(3), desc="Library"))
with progress_bar("Reading", 0, "records"):
    pass
print("the end")
"""


@pytest.fixture(scope="module")
def shown() -> str:
    """Everything that the program writes to a terminal of WIDTH columns."""
    terminal = Terminal(WIDTH)
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), terminal.file)
    subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, check=True, **streams)  # type: ignore[call-overload]
    return terminal.output()


def test_a_bar_tells_how_far_it_is_the_time_left_and_the_speed(shown: str) -> None:
    answering = r"Answering  25%\|.+\| 5\.00k/20\.0k prompts, \d\d:\d\d left, \S+ prompts/s"
    assert any(re.fullmatch(answering, frame) for frame in frames(shown))
    training = r"Training  50%\|.+\| 4/8 steps, \S+ left, loss 0\.500, 900 tokens/s"
    assert any(re.fullmatch(training, frame) for frame in frames(shown))
    assert "Merging …" in frames(shown)
    assert all(len(frame) <= WIDTH for frame in frames(shown))


def test_lines_stay_and_bars_go(shown: str) -> None:
    assert screen(shown) == ["a line", "the end"]


def test_a_log_has_no_bars() -> None:
    logged = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (logged.stdout, logged.stderr) == ("a line\nthe end\n", "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (83, "1 min 23 s"), (7390, "2 h 3 min")],
)
def test_a_duration_has_two_units_at_most(seconds: float, text: str) -> None:
    assert describe_seconds(seconds) == text


@given(st.floats(10, 1e6))
def test_a_duration_is_right_within_its_smallest_unit(seconds: float) -> None:
    units = {"h": 3600, "min": 60, "s": 1}
    parts = re.findall(r"(\d+) (h|min|s)", describe_seconds(seconds))
    assert abs(sum(int(number) * units[unit] for number, unit in parts) - seconds) <= units[parts[-1][1]]
