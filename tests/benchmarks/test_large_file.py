"""The benchmark's raw file: published lengths and shares, and the same lines in every run."""

import gzip
import json
from pathlib import Path

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


def test_lines_are_retold_in_other_words() -> None:
    lines = large_file.generate_chunk((0, 300))
    editions = [lines, large_file.retell_lines(1, lines), large_file.retell_lines(2, lines)]
    told = [[parse_line(line) for line in edition.split(b"\n")] for edition in editions]
    assert [len(records) for records in told] == [301] * 3
    for first, *others in zip(*told, strict=True):
        assert [other is None for other in others] == [first is None] * 2  # what is malformed stays malformed
        for edition, other in enumerate(others, 1):
            if first and other and len(first.get("content") or "") > 300:
                assert other["uid"] == f"{edition}{first['uid'][1:]}"
                assert len(shingles(first) & shingles(other)) < 0.5 * len(shingles(first) | shingles(other))


def parse_line(line: bytes) -> dict | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and isinstance(found.get("uid"), str) else None


def shingles(record: dict) -> set[tuple[str, ...]]:
    words = record["content"].split()
    return set(zip(words, words[1:], words[2:], strict=False))


def test_a_larger_file_goes_on_with_the_first_edition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_file, "EDITION", 40)
    large_file.write_large_file(tmp_path / "large.json.gz", 100)
    first, large = (gzip.decompress((tmp_path / name).read_bytes()) for name in ("40.json.gz", "large.json.gz"))
    assert large.startswith(first) and large.count(b"\n") == 100
    assert len({line[:20] for line in large.splitlines() if line.startswith(b'{"uid"')}) > 95
