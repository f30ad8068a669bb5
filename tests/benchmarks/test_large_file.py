"""The benchmark's raw file: published lengths and shares, and the same lines in every run."""

import json

import numpy as np
import pytest

from benchmarks import large_file


@pytest.fixture(scope="module")
def records() -> list[dict]:
    lines = large_file.generate_chunk((3, 8_000)).splitlines()
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    assert len(lines) == 8_000 and len(found) > 7_900
    return [record for record in found if isinstance(record, dict) and isinstance(record.get("title"), str)]


def test_lengths_are_the_published_ones(records: list[dict]) -> None:
    titles = [len(record["title"]) for record in records if record["title"].strip()]
    contents = [len(record["content"]) for record in records if record.get("content", "").strip()]
    assert np.quantile(titles, [0.25, 0.5, 0.75]) == pytest.approx([37, 54, 75], rel=0.1)
    assert np.quantile(contents, [0.25, 0.5, 0.75]) == pytest.approx([194, 398, 805], rel=0.1)


def test_empty_fields_and_targets_have_the_published_shares(records: list[dict]) -> None:
    empty = [np.mean([not record.get(field, "x").strip() for record in records]) for field in ("title", "content")]
    assert empty == pytest.approx([0.056, 0.333], abs=0.02)
    assert np.mean([len(record["target_ind"]) for record in records]) == pytest.approx(22, abs=1)


def test_one_record_in_eight_has_characters_beyond_ascii(records: list[dict]) -> None:
    contents = [record["content"] for record in records if len(record.get("content", "")) > 100]
    assert np.mean([not content.isascii() for content in contents]) == pytest.approx(0.13, abs=0.03)


def test_the_same_lines_come_again() -> None:
    assert (
        large_file.generate_chunk((0, 50)) == large_file.generate_chunk((0, 50)) != large_file.generate_chunk((1, 50))
    )
