"""Answers batch by batch: in the order of the prompts, kept as they come, and not asked for twice."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from src.inference.answering import answer_prompts
from src.inference.engine import Answer, Sampling
from src.inference.kept_answers import KeptAnswers
from src.prompts.rendering import Prompt

PROMPTS: list[Prompt] = ["a", "bb\u2028", "ccc", "dddd", "eeeee"]
ONCE = Sampling(1)


class Backwards:
    """An engine that answers the last prompts first, two at once, and remembers what it was asked."""

    def __init__(self, fails_after: int = 9) -> None:
        self.asked: list[int] = []
        self.fails_after = fails_after

    def batches(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        numbers = list(range(len(prompts)))[::-1]
        return [numbers[start : start + 2] for start in range(0, len(numbers), 2)]

    def answer_batch(self, batch: Sequence[tuple[int, Prompt]], sampling: Sampling) -> list[Answer]:
        if len(self.asked) >= self.fails_after:
            raise KeyboardInterrupt
        self.asked += [number for number, _ in batch]
        return [Answer(f"{prompt}!", [number], "stop") for number, prompt in batch]


EXPECTED = [Answer(f"{prompt}!", [number], "stop") for number, prompt in enumerate(PROMPTS)]


@pytest.fixture
def kept(tmp_path: Path) -> KeptAnswers:
    return KeptAnswers(tmp_path / "new/answers.jsonl")


def test_answers_come_in_the_order_of_the_prompts() -> None:
    assert answer_prompts(Backwards(), PROMPTS, ONCE) == EXPECTED


def test_an_interrupted_run_goes_on_where_it_was(kept: KeptAnswers, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        answer_prompts(Backwards(fails_after=2), PROMPTS, ONCE, kept)
    second = Backwards()
    assert answer_prompts(second, PROMPTS, ONCE, kept) == EXPECTED
    assert second.asked == [2, 1, 0]
    assert "Goes on after 2 answers of an earlier run" in capsys.readouterr().out


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_line_that_was_cut_off_is_asked_again(kept: KeptAnswers, cut: int) -> None:
    answer_prompts(Backwards(), PROMPTS[:4], ONCE, kept)
    kept.path.write_bytes(kept.path.read_bytes()[:-cut])
    second, third = Backwards(), Backwards()
    assert answer_prompts(second, PROMPTS, ONCE, kept) == EXPECTED
    assert set(second.asked) > {4} and len(second.asked) < len(PROMPTS)
    assert answer_prompts(third, PROMPTS, ONCE, kept) == EXPECTED  # what came after the cut line is whole
    assert third.asked == []


@pytest.mark.parametrize("damage", [b"\n[1]\n", b"\nnull", b'\n{"number": 1}', b"\n\xff\xfe", b'\n{"text": "a"}'])
def test_a_damaged_line_counts_as_not_there(kept: KeptAnswers, damage: bytes) -> None:
    kept.add({4: EXPECTED[4]})
    with kept.path.open("ab") as lines:
        lines.write(damage)
    assert kept.read() == {4: EXPECTED[4]}
