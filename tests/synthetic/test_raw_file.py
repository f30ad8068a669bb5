"""The committed sample: the code writes it again, it has the form and the flaws of the real file, its ground truth is
right."""

import gzip
import json
import random
import re
from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any

import pytest

from src.synthetic.catalogue import Product, generate_products
from src.synthetic.exact_near_duplicates import jaccard_similarity
from src.synthetic.raw_file import (
    FACTS,
    GROUND_TRUTH,
    MALFORMED_SHARE,
    RAW,
    RECORDS,
    SEED,
    any_of,
    bare_title,
    compress_gzip,
    is_same_product,
    make_sample,
    vary_content,
)

Sample = tuple[list[bytes], dict[str, Any]]


@pytest.fixture(scope="module")
def sample() -> Sample:
    """The committed lines and ground truth."""
    return gzip.decompress(RAW.read_bytes()).splitlines(), json.loads(gzip.decompress(GROUND_TRUTH.read_bytes()))


@pytest.fixture(scope="module")
def records(sample: Sample) -> dict[str, dict[str, Any]]:
    """The whole records of the committed file, by uid."""
    lines, ground_truth = sample
    whole = [json.loads(line) for number, line in enumerate(lines, 1) if str(number) not in ground_truth["malformed"]]
    return {record["uid"]: record for record in whole}


def test_code_gives_the_committed_files() -> None:
    files = make_sample(SEED, RECORDS)
    assert files.keys() == {RAW, GROUND_TRUTH, FACTS}
    assert all(gzip.decompress(path.read_bytes()) == content for path, content in files.items())


def test_compressed_bytes_hold_no_name_and_no_time() -> None:
    assert compress_gzip(b"abc") == compress_gzip(b"abc")
    for path in (RAW, GROUND_TRUTH, FACTS):
        assert path.read_bytes()[3:8] == bytes(5)  # flags and time of the gzip header


def test_files_are_small() -> None:
    assert RAW.stat().st_size < 2_000_000
    assert GROUND_TRUTH.stat().st_size + FACTS.stat().st_size < 1_000_000


def test_records_have_the_published_form(records: dict[str, dict[str, Any]]) -> None:
    assert len(records) >= 8000
    for uid, record in records.items():
        assert list(record) == ["uid", "title", "content", "target_ind", "target_rel"]
        assert len(uid) == 10
        assert record["target_rel"] == [1.0] * len(record["target_ind"])
        assert all(isinstance(target, int) for target in record["target_ind"])
    assert any(uid.startswith("00") for uid in records)


def test_isbns_of_books_are_valid(records: dict[str, dict[str, Any]]) -> None:
    books = [uid for uid in records if not uid.startswith("B00")]
    assert books
    for uid in books:
        digits = [10 if character == "X" else int(character) for character in uid]
        assert sum(digit * weight for digit, weight in zip(digits, range(10, 0, -1), strict=True)) % 11 == 0


def test_malformed_lines_are_broken(sample: Sample) -> None:
    lines, ground_truth = sample
    assert len(ground_truth["malformed"]) == round(MALFORMED_SHARE * RECORDS) < 0.01 * len(lines)
    for number, kind in ground_truth["malformed"].items():
        assert break_of(lines[int(number) - 1]) == kind


def break_of(line: bytes) -> str:
    """What is wrong with a line, as a strict reader finds it."""
    try:
        record = json.loads(line.decode())
    except UnicodeDecodeError:
        return "invalid_utf8"
    except json.JSONDecodeError:
        return "cut_off" if line.startswith(b"{") else "no_json"
    if not isinstance(record, dict):
        return "no_object"
    return "missing_field" if "content" not in record else "wrong_type"


def test_flaws_come_in_about_their_real_shares(sample: Sample, records: dict[str, dict[str, Any]]) -> None:
    lines, ground_truth = sample
    flaws = Counter(flaw for entry in ground_truth["records"].values() for flaw in entry["flaws"])
    assert flaws["empty_title"] / len(lines) == pytest.approx(0.056, abs=0.005)
    assert flaws["empty_content"] / len(lines) == pytest.approx(0.333, abs=0.01)
    complete = [uid for uid, record in records.items() if record["title"].strip() and record["content"].strip()]
    assert sum(flaws[flaw] for flaw in flaws if flaw.endswith("entities")) / len(complete) == pytest.approx(
        0.16, abs=0.02
    )
    assert flaws["glued"] / len(complete) == pytest.approx(0.16, abs=0.02)
    assert flaws["repeated_content"] / len(complete) == pytest.approx(0.06, abs=0.015)
    assert flaws["repeated_title"] / len(complete) == pytest.approx(0.03, abs=0.01)
    books = [uid for uid in complete if not uid.startswith("B00")]
    assert flaws["boilerplate"] / len(books) == pytest.approx(0.24, abs=0.02)
    assert flaws["near_content"] / len(complete) == pytest.approx(0.07, abs=0.01)  # 0.05 repeat a content in full
    assert flaws["very_long"]


def test_ground_truth_has_texts_only_where_cleaning_can_restore_them(
    sample: Sample, records: dict[str, dict[str, Any]]
) -> None:
    for uid, entry in sample[1]["records"].items():
        assert uid in records
        assert entry["flaws"]
        restorable = entry.get("dropped", "kept") in ("kept", "duplicate", "near_duplicate")
        assert restorable or not ("title" in entry or "content" in entry)
        assert all(entry[key] != records[uid][key] for key in ("title", "content") if key in entry)


def test_kept_records_are_distinct(sample: Sample, records: dict[str, dict[str, Any]]) -> None:
    known = sample[1]["records"]
    clean = [record | known.get(uid, {}) for uid, record in records.items() if "dropped" not in known.get(uid, {})]
    assert len(clean) > 5000
    assert len({(record["title"].casefold(), record["content"]) for record in clean}) == len(clean)


def test_a_near_duplicate_is_dropped_where_an_earlier_record_is_the_same_product(
    sample: Sample, records: dict[str, dict[str, Any]]
) -> None:
    known = sample[1]["records"]
    earlier: defaultdict[str, list[str]] = defaultdict(list)  # contents of kept records, by bare title
    dropped = 0
    for uid, record in records.items():
        outcome = known.get(uid, {}).get("dropped", "kept")
        if outcome in ("kept", "near_duplicate"):
            clean = record | known.get(uid, {})
            near = [other for other in earlier[bare_title(clean["title"])] if is_near(clean["content"], other)]
            assert bool(near) == (outcome == "near_duplicate"), uid
            dropped += bool(near)
            earlier[bare_title(clean["title"])] += [] if near else [clean["content"]]
    assert dropped > 100


def is_near(content: str, other: str) -> bool:
    """Whether two contents are near and have the same numbers."""
    numbers, other_numbers = (set(re.findall(r"\w*\d\S*\b", text.lower())) for text in (content, other))
    return numbers == other_numbers and jaccard_similarity(content, other) >= 0.8


def test_the_same_product_has_the_same_title_and_numbers_and_a_near_text() -> None:
    words = " ".join(f"word{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")
    lamp = Product("other", "Oak Lamp", f"{words} It runs for 40 hours.")
    assert is_same_product(replace(lamp, title="Oak Lamp (Import)"), lamp)
    assert is_same_product(replace(lamp, content=lamp.content.replace("wordz", "blue")), lamp)
    assert not is_same_product(replace(lamp, title="Oak Lamp (Blue)"), lamp)
    assert not is_same_product(replace(lamp, content=lamp.content.replace("40", "50")), lamp)
    assert not is_same_product(replace(lamp, content=lamp.content.replace("word", "other")), lamp)


def test_a_note_on_the_sale_names_no_other_product() -> None:
    assert bare_title("Oak Lamp (Import) (Revised)") == bare_title("oak lamp - New") == "oak lamp"
    assert bare_title("Oak Lamp (Blue)") != "oak lamp"


def test_a_variant_is_a_clear_near_duplicate() -> None:
    rng = random.Random(3)
    for product in generate_products(3, 200):
        if len(product.content) >= 250:
            varied = vary_content(rng, product.content, "blue")
            assert varied != product.content
            assert jaccard_similarity(varied, product.content) >= 0.85


def test_titles_repeat_with_other_contents(sample: Sample) -> None:
    entries = sample[1]["records"].values()
    assert sum("repeated_title" in entry["flaws"] and "dropped" not in entry for entry in entries) > 30


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    """The committed facts."""
    return dict(json.loads(gzip.decompress(FACTS.read_bytes())))


def test_every_record_that_may_be_kept_has_its_title_s_facts(
    sample: Sample, records: dict[str, dict[str, Any]], facts: dict[str, Any]
) -> None:
    known = sample[1]["records"]
    kept = {uid for uid in records if "dropped" not in known.get(uid, {})}
    assert kept < facts["records"].keys() < records.keys()
    for uid, found in facts["records"].items():
        title = known.get(uid, {}).get("title", records[uid]["title"])
        for name, values in found["stated"].items():
            assert all(value in title and value in facts["values"][name] for value in values)


def test_implied_values_are_no_title_s_and_what_a_content_states_is_stated_or_implied(
    sample: Sample, records: dict[str, dict[str, Any]], facts: dict[str, Any]
) -> None:
    brands = any_of(facts["values"]["brand"])
    for uid, found in list(facts["records"].items())[:1000]:
        for name, values in found["implied"].items():
            assert not {value.lower() for value in found["stated"][name]} & set(values)
        content = sample[1]["records"].get(uid, {}).get("content", records[uid]["content"])
        if "brand" in found["stated"] and "See also" not in content:
            true = [*found["stated"]["brand"], *found["implied"].get("brand", [])]
            assert {brand.lower() for brand in brands.findall(content)} <= {brand.lower() for brand in true}


def test_facts_tell_what_belongs_to_a_product_from_what_does_not(facts: dict[str, Any]) -> None:
    walks = [found for found in facts["records"].values() if found["stated"].get("subject") == ["Winter Walks"]]
    assert walks
    # The author's home, which the content may name, is no error where the title names another place.
    assert all(len(found["implied"].get("place", [])) <= 1 for found in walks)


def test_values_are_found_as_whole_words_and_the_longest_first() -> None:
    assert any_of(["2 litres", "Lamp", "Table Lamp"]).findall("A table lamp of 12 litres, 2 litres; lamps") == [
        "table lamp",
        "2 litres",
    ]
