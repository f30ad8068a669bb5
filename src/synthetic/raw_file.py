"""Writes data/sample: raw records in the published form, made from the invented catalogue, and two ground truths.

One is what is wrong with each record, by which cleaning is scored; the other which facts its title states, by which
answers are.

Covers the lines of the raw file, the malformed ones among them, and which record repeats which. The catalogue's words
and grammar are in catalogue.py, the flaws of titles and contents in flaws.py, what makes near duplicates in
exact_near_duplicates.py. The same code writes the same bytes.

    python -m src.synthetic.raw_file
"""

import gzip
import json
import random
import re
import string
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

from src.files import atomic_file
from src.synthetic.catalogue import (
    Outline,
    Product,
    draw_outline,
    every_wording,
    fact_values,
    title_facts,
    write_advertisements,
    write_product,
)
from src.synthetic.exact_near_duplicates import NEAR_THRESHOLD, first_near_duplicates, jaccard_similarity
from src.synthetic.flaws import Record, inject_flaws, replace_some

SAMPLE = Path("data/sample")
RAW, GROUND_TRUTH, FACTS = SAMPLE / "trn.json.gz", SAMPLE / "ground_truth.json.gz", SAMPLE / "facts.json.gz"
SEED = 1
RECORDS = 10_000
MALFORMED_SHARE = 0.003  # of the lines
LABELS = 1_305_265  # rows of the published label file, which target_ind refers to
# Repeated before records are dropped: about 3% of the titles and 6% of the contents of those that are kept.
REPEATED_TITLE_SHARE, REPEATED_CONTENT_SHARE = 0.027, 0.09
VARIANT_SHARE = 0.02  # of the records become near duplicates of another one
VARIANT_CHARS = 250  # of a content that is varied, at least: in a short one, one other word changes too many shingles
VARIANT_SIMILARITY = 0.85  # at least: clearly above NEAR_THRESHOLD, so that no method may miss a variant by rounding
VARIANT_WORDS = ("blue", "grey", "large", "small", "revised")
# Behind a title, with the same content: a note on how it is sold. Of the variants, only this one is the same product.
SALE_NOTES = ("", " (Import)", " (Gift Box)", " - New", " [Imported]")
SAME_VARIANT = " (Revised)"
WORD = re.compile(r"\b[a-z]{4,}\b")
VERY_LONG, VERY_LONG_CHARS = 6, 11_000  # records, and characters of their contents at least

RawRecord = dict[str, Any]  # the JSON object of a line, with values of several types


def draw_products(rng: random.Random, count: int) -> list[Product]:
    """Draws clean products: some share a title or a content, or nearly so, a few are very long.

    Args:
        rng: draws them.
        count: how many.

    Returns:
        The products in the order of the file.
    """
    outlines = repeat_outlines(rng, [draw_outline(rng) for _ in range(count)])
    products = [write_product(rng, outline) for outline in outlines]
    for position in rng.sample(range(count), VERY_LONG):
        products[position] = lengthen_product(rng, products[position])
    return vary_contents(rng, repeat_contents(rng, products))


def repeat_outlines(rng: random.Random, outlines: list[Outline]) -> list[Outline]:
    """Replaces some outlines by earlier ones: those records share a title, each with a content of its own.

    Args:
        rng: draws which.
        outlines: of all products.

    Returns:
        As many outlines.
    """
    repeated = list(outlines)
    for position in rng.sample(range(1, len(outlines)), round(REPEATED_TITLE_SHARE * len(outlines))):
        repeated[position] = outlines[rng.randrange(position)]
    return repeated


def repeat_contents(rng: random.Random, products: list[Product]) -> list[Product]:
    """Replaces some products by earlier ones, most of them under another title.

    Args:
        rng: draws which.
        products: all of them.

    Returns:
        As many products.
    """
    repeated = list(products)
    for position in rng.sample(range(1, len(products)), round(REPEATED_CONTENT_SHARE * len(products))):
        earlier = products[rng.randrange(position)]
        repeated[position] = replace(earlier, title=earlier.title + rng.choice(SALE_NOTES))
    return repeated


def vary_contents(rng: random.Random, products: list[Product]) -> list[Product]:
    """Replaces some products by variants of earlier ones, nearly the same in title and content.

    Args:
        rng: draws which.
        products: all of them.

    Returns:
        As many products.
    """
    varied = list(products)
    positions = [position for position, product in enumerate(products) if len(product.content) >= VARIANT_CHARS]
    drawn = rng.sample(positions, 2 * round(VARIANT_SHARE * len(products)))
    for earlier, later in map(sorted, zip(drawn[::2], drawn[1::2], strict=True)):
        title, content, variant = products[earlier].title, products[earlier].content, rng.choice(VARIANT_WORDS)
        content = vary_content(rng, content, variant)
        varied[later] = replace(products[earlier], title=f"{title} ({variant.title()})", content=content)
    return varied


def vary_content(rng: random.Random, content: str, variant: str) -> str:
    """Puts another word in one place or two, so that the result is still a clear near duplicate.

    Args:
        rng: draws the places.
        content: what is varied; VARIANT_CHARS characters or more, else this may never end.
        variant: the other word.

    Returns:
        A content of VARIANT_SIMILARITY or more that is not the same.
    """
    varied = content
    while varied == content or jaccard_similarity(content, varied) < VARIANT_SIMILARITY:
        varied = replace_some(rng, WORD, content, rng.randint(1, 2), lambda _: variant)
    return varied


def lengthen_product(rng: random.Random, product: Product) -> Product:
    """Appends advertisements to a product's content until it is very long.

    Args:
        rng: draws them.
        product: what is lengthened.

    Returns:
        The longer product.
    """
    content = product.content
    while len(content) < VERY_LONG_CHARS:
        content += " " + write_advertisements(rng, 1)[0]
    return replace(product, content=content)


def make_records(rng: random.Random, count: int) -> list[Record]:
    """Makes records with every flaw, and the reasons to drop them.

    Args:
        rng: draws them.
        count: how many.

    Returns:
        The records in the order of the file.
    """
    records = [Record(product) for product in draw_products(rng, count)]
    inject_flaws(rng, records)
    mark_malformed(rng, records)
    mark_exact_duplicates(records)
    mark_near_duplicates(records)
    return records


def mark_malformed(rng: random.Random, records: list[Record]) -> None:
    """Marks a few records whose line will be malformed, every kind equally often.

    Args:
        rng: draws which.
        records: changed in place.
    """
    kept = [record for record in records if record.drop_reason is None]
    for number, record in enumerate(rng.sample(kept, round(MALFORMED_SHARE * len(records)))):
        record.flaws.append(list(MALFORMED_LINES)[number % len(MALFORMED_LINES)])
        record.drop_reason = "malformed"


def mark_exact_duplicates(records: list[Record]) -> None:
    """Notes which titles and contents repeat, and drops the later one of two records that are equal in both."""
    kept = [record for record in records if record.drop_reason is None]
    seen: set[object] = set()
    for record in kept:
        title, content = record.original.title.casefold(), record.original.content
        repeats = {"repeated_title": ("title", title), "repeated_content": ("content", content)}
        record.flaws += [flaw for flaw, key in repeats.items() if key in seen]
        record.flaws += ["very_long"] if len(content) >= VERY_LONG_CHARS else []
        record.drop_reason = "duplicate" if (title, content) in seen else None
        seen.update([*repeats.values(), (title, content)])


def mark_near_duplicates(records: list[Record]) -> None:
    """Notes near contents, and drops those of a product that an earlier record has; the catalogue has others, too."""
    kept = [record for record in records if record.drop_reason is None]
    clusters: dict[int, list[Record]] = {}  # those that stay
    for record, first in zip(kept, first_near_duplicates([each.original.content for each in kept]), strict=True):
        earlier = clusters.setdefault(first, [])
        record.flaws += ["near_content"] if earlier else []
        if any(is_same_product(record.original, other.original) for other in earlier):
            record.drop_reason = "near_duplicate"
        else:
            earlier.append(record)


def is_same_product(one: Product, other: Product) -> bool:
    """Tells whether two products of near contents are one: the titles say so, and no number of the contents differs.

    Args:
        one: a product.
        other: another one, whose content may be near by a third one's alone.

    Returns:
        Whether cleaning should drop the later one.
    """
    numbers, other_numbers = (set(re.findall(r"\w*\d\S*\b", each.content.lower())) for each in (one, other))
    same = bare_title(one.title) == bare_title(other.title) and numbers == other_numbers
    return same and jaccard_similarity(one.content, other.content) >= NEAR_THRESHOLD


def bare_title(title: str) -> str:
    """A title in small letters, without the notes on how it is sold."""
    notes = [note for note in (*SALE_NOTES, SAME_VARIANT) if note]
    while found := [note for note in notes if title.endswith(note)]:
        title = title.removesuffix(found[0])
    return title.casefold()


def make_uids(rng: random.Random, records: list[Record]) -> list[str]:
    """Draws product numbers, all different: ten characters, an ISBN-10 for a book.

    Args:
        rng: draws them.
        records: what they are for.

    Returns:
        One for each record.
    """
    uids: dict[str, None] = {}  # a set would lose the order
    for number, record in enumerate(records, start=1):
        while len(uids) < number:
            uids[draw_isbn(rng) if record.original.kind == "book" else draw_product_number(rng)] = None
    return list(uids)


def draw_isbn(rng: random.Random) -> str:
    """An ISBN-10 with its check digit; English ones begin with 0 or 1."""
    digits = [rng.randint(0, 1), *(rng.randint(0, 9) for _ in range(8))]
    check = -sum(digit * weight for digit, weight in zip(digits, range(10, 1, -1), strict=True)) % 11
    return "".join(map(str, digits)) + ("X" if check == 10 else str(check))


def draw_product_number(rng: random.Random) -> str:
    """A number of the kind that other products have, such as B00F3K9ZQ1."""
    return "B00" + "".join(rng.choices(string.digits + string.ascii_uppercase, k=7))


def to_raw_record(uid: str, record: Record, targets: list[int]) -> RawRecord:
    """Gives a record the published file's keys.

    Args:
        uid: its product number.
        record: its texts.
        targets: rows of the label file, which nothing here reads.

    Returns:
        The JSON object of its line.
    """
    texts = {"title": record.title, "content": record.content}
    return {"uid": uid, **texts, "target_ind": sorted(targets), "target_rel": [1.0] * len(targets)}


def draw_targets(rng: random.Random) -> list[int]:
    """A few labels, all different."""
    return rng.sample(range(LABELS), rng.randint(1, 5))


def encode_line(value: object) -> bytes:
    """A JSON line without its line end."""
    return json.dumps(value, ensure_ascii=False).encode()


def without_content(raw: RawRecord) -> bytes:
    """A line that lacks a field."""
    return encode_line({key: value for key, value in raw.items() if key != "content"})


MALFORMED_LINES: dict[str, Callable[[RawRecord], bytes]] = {
    "no_json": lambda raw: encode_line(raw)[1:-1],
    "missing_field": without_content,
    "wrong_type": lambda raw: encode_line(raw | {"title": [raw["title"]]}),
    "no_object": lambda raw: encode_line(list(raw.values())),
    "cut_off": lambda raw: encode_line(raw)[:60],
    "invalid_utf8": lambda raw: encode_line(raw)[:-1] + b', "note": "caf\xe9"}',
}


def make_line(raw: RawRecord, record: Record) -> bytes:
    """Encodes a record's line of the file, malformed if it is marked so.

    Args:
        raw: the JSON object of the line.
        record: whether the line is malformed, and how.

    Returns:
        The line without its line end.
    """
    encode = MALFORMED_LINES[record.flaws[-1]] if record.drop_reason == "malformed" else encode_line
    return encode(raw)


def make_ground_truth(uids: list[str], records: list[Record]) -> dict[str, Any]:
    """Collects which flaws were injected.

    Args:
        uids: a product number for each record.
        records: in the order of the file.

    Returns:
        `records`: what is known of each flawed record by its uid; `malformed`: what is wrong by line number, from 1.
    """
    numbered = list(enumerate(records, start=1))
    malformed = {str(line): record.flaws[-1] for line, record in numbered if record.drop_reason == "malformed"}
    known = {
        uid: record_ground_truth(record)
        for uid, record in zip(uids, records, strict=True)
        if record.flaws and record.drop_reason != "malformed"
    }
    return {"records": known, "malformed": malformed}


def record_ground_truth(record: Record) -> dict[str, Any]:
    """The flaws of a record, the reason why it is dropped, and the texts that cleaning restores if it can."""
    known: dict[str, Any] = {"flaws": record.flaws}
    if record.drop_reason:
        known["dropped"] = record.drop_reason
    if record.drop_reason in (None, "duplicate", "near_duplicate"):  # the other reasons leave no texts to compare
        texts = {"title": (record.title, record.original.title), "content": (record.content, record.original.content)}
        known |= {key: original for key, (flawed, original) in texts.items() if flawed != original}
    return known


def make_facts(uids: list[str], records: list[Record]) -> dict[str, Any]:
    """Collects the facts that titles state, of each record whose texts cleaning can restore.

    Args:
        uids: a product number for each record.
        records: in the order of the file.

    Returns:
        `values`: all that the catalogue knows, by the fact's name; `records`: by uid `stated`, the title's values by
        the fact's name, and `implied`, values of the same facts that a true content may name besides.
    """
    values = fact_values()
    patterns = {name: any_of(found) for name, found in values.items()}
    restored = (None, "duplicate", "near_duplicate")  # other parameters of cleaning may keep duplicates
    pairs = zip(uids, records, strict=True)
    outlines = {uid: record.original.outline for uid, record in pairs if record.drop_reason in restored}
    return {"values": values, "records": {uid: record_facts(each, patterns) for uid, each in outlines.items() if each}}


def any_of(values: list[str]) -> re.Pattern[str]:
    """Finds any of the values as whole words, the longest that fits, in upper or lower case."""
    longest_first = sorted(values, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE)


def record_facts(outline: Outline, patterns: dict[str, re.Pattern[str]]) -> dict[str, Any]:
    """The facts that a record's title states, and what a true content may name besides.

    Args:
        outline: of the record.
        patterns: by the fact's name, what finds its values.

    Returns:
        `stated` and `implied`, both by the fact's name.
    """
    stated: dict[str, list[str]] = {}
    for name, value in title_facts(outline):
        stated.setdefault(name, []).append(value)
    wordings = every_wording(outline)
    named = {name: {found.lower() for found in patterns[name].findall(wordings)} for name in stated}
    implied = {name: sorted(named[name] - {value.lower() for value in stated[name]}) for name in stated}
    return {"stated": stated, "implied": {name: found for name, found in implied.items() if found}}


def compress_gzip(data: bytes) -> bytes:
    """Gzip with neither a name nor a time in it, so that equal data give equal bytes."""
    compressed = BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=compressed, compresslevel=9, mtime=0) as file:
        file.write(data)
    return compressed.getvalue()


def make_sample(seed: int, count: int) -> dict[Path, bytes]:
    """Makes the raw file and its ground truths.

    Args:
        seed: the same seed gives the same bytes.
        count: lines of the raw file.

    Returns:
        The content of each file of the sample, not compressed.
    """
    rng = random.Random(seed)
    records = make_records(rng, count)
    uids = make_uids(rng, records)
    named = zip(uids, records, strict=True)
    lines = [make_line(to_raw_record(uid, record, draw_targets(rng)), record) for uid, record in named]
    return {
        RAW: b"\n".join(lines) + b"\n",
        GROUND_TRUTH: encode_line(make_ground_truth(uids, records)),
        FACTS: encode_line(make_facts(uids, records)),
    }


def main() -> None:
    """Writes the sample and its ground truths."""
    for path, data in make_sample(SEED, RECORDS).items():
        with atomic_file(path) as partial:
            partial.write_bytes(compress_gzip(data))
        print(f"Wrote {path} ({path.stat().st_size / 1e6:.2f} MB).")


if __name__ == "__main__":
    main()
