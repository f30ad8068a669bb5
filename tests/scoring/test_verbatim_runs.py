"""Runs of words from training texts: by hand, and as a search of every run finds them."""

from hypothesis import given
from hypothesis import strategies as st

from src.scoring.verbatim_runs import longest_runs

NO_TITLE = ""
texts = st.lists(st.lists(st.sampled_from("abc"), max_size=9).map(" ".join), max_size=5)


def longest_by_search(answer: str, title: str, contents: list[str]) -> int:
    """The longest run by a look at every run of the answer."""
    words, explained = answer.lower().split(), set(title.lower().split())
    padded = [f" {' '.join(content.lower().split())} " for content in contents]
    runs = [words[start:end] for start in range(len(words)) for end in range(start + 1, len(words) + 1)]
    found = [run for run in runs if any(f" {' '.join(run)} " in content for content in padded)]
    return max((sum(word not in explained for word in run) for run in found), default=0)


def test_a_run_is_counted_in_words_whatever_their_case_and_white_space() -> None:
    contents = ["This lamp is made of brass.", "It has a  SHADE of\nlinen."]
    answers = ["A lamp is made of steel, with a shade of linen.", "Brass lamp", ""]
    assert longest_runs(answers, [NO_TITLE] * 3, contents) == [4, 1, 0]


def test_a_run_ends_with_its_training_text_and_with_its_answer() -> None:
    assert longest_runs(["a b c d"], [NO_TITLE], ["x a b", "c d y"]) == [2]
    assert longest_runs(["a b", "c d"], [NO_TITLE] * 2, ["a b c d"]) == [2, 2]


def test_words_of_the_own_title_do_not_count() -> None:
    content = "the brass lamp by orla is made by hand"
    assert longest_runs([content, content], ["Brass Lamp by Orla", "A bag"], [content]) == [4, 9]


def test_without_training_texts_there_is_no_run() -> None:
    assert longest_runs(["a b", ""], [NO_TITLE] * 2, []) == [0, 0]
    assert longest_runs([], [], ["a b"]) == []


@given(texts, texts, st.sampled_from(["", "a", "b c"]))
def test_runs_are_those_that_a_search_finds(answers: list[str], contents: list[str], title: str) -> None:
    expected = [longest_by_search(answer, title, contents) for answer in answers]
    assert longest_runs(answers, [title] * len(answers), contents) == expected
