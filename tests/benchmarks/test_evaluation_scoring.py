"""The benchmark of scoring, with a few short texts."""

from random import Random

from benchmarks.evaluation_scoring import CONTENT_WORDS, make_texts, measure_scoring


def test_every_part_is_measured() -> None:
    found = measure_scoring(records=6, training=8, searched=30)
    assert list(found["seconds"]) == ["reading facts", "nearest titles", "scores and intervals", "p-values"]
    assert found["seconds_in_all"] >= found["seconds"]["scores and intervals"] > 0
    assert (found["records"], found["training"], found["systems"], found["runs"]["training"]) == (6, 8, 4, 30)
    assert 8 <= found["runs"]["mean_run"] <= 2 * 12  # patched together from runs of up to twelve words


def test_texts_are_as_long_as_asked_and_repeat_words() -> None:
    texts = make_texts(Random(1), 200, CONTENT_WORDS)
    words = [word for text in texts for word in text.split()]
    assert 0.9 * CONTENT_WORDS < len(words) / len(texts) < 1.1 * CONTENT_WORDS
    assert len(set(words)) < len(words) / 3
