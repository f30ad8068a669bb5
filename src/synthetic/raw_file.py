"""Writes data/sample: raw records in the published form, made from the invented catalogue, and the truth about them.

Covers the lines of the raw file, the broken ones among them, and which record repeats which. The catalogue's words and
grammar are in catalogue.py, the flaws of titles and contents in flaws.py, what near contents are in alike.py. The same
code writes the same bytes.
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
from src.synthetic.catalogue import Outline, Product, draw_outline, write_advertisements, write_product
from src.synthetic.exhaustive_duplicates import first_near_duplicates, jaccard_similarity
from src.synthetic.flaws import Record, inject_flaws, replace_some

RAW, GROUND_TRUTH = Path("data/sample/trn.json.gz"), Path("data/sample/ground_truth.json.gz")
SEED = 1
RECORDS = 10_000
MALFORMED = 0.003
LABELS = 1_305_265  # of the published label file, whose rows target_ind counts
REPEATED_TITLES, REPEATED_CONTENTS = 0.027, 0.09  # before others are dropped; about 3% and 6% of the rest
VARIED_CONTENTS, VARIED_CHARS, CLEARLY_NEAR = 0.02, 250, 0.85
VARIANTS = ("blue", "grey", "large", "small", "revised")
WORD = re.compile(r"\b[a-z]{4,}\b")
VERY_LONG, VERY_LONG_CHARS = 6, 11_000


def draw_products(rng: random.Random, count: int) -> list[Product]:
    """Clean products: some share a title or a content, or nearly so, a few are very long."""
    found = [write_product(rng, product) for product in repeat_outlines(rng, [draw_outline(rng) for _ in range(count)])]
    for position in rng.sample(range(count), VERY_LONG):
        found[position] = lengthen_product(rng, found[position])
    return vary_contents(rng, repeat_contents(rng, found))


def repeat_outlines(rng: random.Random, outlines: list[Outline]) -> list[Outline]:
    """The outlines with some replaced by earlier ones: those records share a title, each with its own content."""
    repeated = list(outlines)
    for position in rng.sample(range(1, len(outlines)), round(REPEATED_TITLES * len(outlines))):
        repeated[position] = outlines[rng.randrange(position)]
    return repeated


def repeat_contents(rng: random.Random, found: list[Product]) -> list[Product]:
    """The products with some replaced by earlier ones, most of them under another title."""
    repeated = list(found)
    for position in rng.sample(range(1, len(found)), round(REPEATED_CONTENTS * len(found))):
        earlier = found[rng.randrange(position)]
        suffix = rng.choice(["", " (Import)", " (Gift Box)", " - New", " [Imported]"])
        repeated[position] = replace(earlier, title=earlier.title + suffix)
    return repeated


def vary_contents(rng: random.Random, found: list[Product]) -> list[Product]:
    """The products with some replaced by variants of earlier ones, nearly the same in title and content."""
    varied = list(found)
    positions = [position for position, product in enumerate(found) if len(product.content) >= VARIED_CHARS]
    drawn = rng.sample(positions, 2 * round(VARIED_CONTENTS * len(found)))
    for earlier, later in map(sorted, zip(drawn[::2], drawn[1::2], strict=True)):
        title, content, variant = found[earlier].title, found[earlier].content, rng.choice(VARIANTS)
        content = vary_content(rng, content, variant)
        varied[later] = replace(found[earlier], title=f"{title} ({variant.title()})", content=content)
    return varied


def vary_content(rng: random.Random, content: str, variant: str) -> str:
    """The content with another word in one place or two, still clearly near to what it was."""
    varied = content
    while varied == content or jaccard_similarity(content, varied) < CLEARLY_NEAR:
        varied = replace_some(rng, WORD, content, rng.randint(1, 2), lambda _: variant)
    return varied


def lengthen_product(rng: random.Random, product: Product) -> Product:
    """The product with advertisements behind its content until that is very long."""
    content = product.content
    while len(content) < VERY_LONG_CHARS:
        content += " " + write_advertisements(rng, 1)[0]
    return replace(product, content=content)


def make_records(rng: random.Random, count: int) -> list[Record]:
    """Records with every flaw planted, in the order of the file."""
    records = [Record(product) for product in draw_products(rng, count)]
    inject_flaws(rng, records)
    break_lines(rng, records)
    mark_exact_duplicates(records)
    mark_near_duplicates(records)
    return records


def break_lines(rng: random.Random, records: list[Record]) -> None:
    """Marks a few records whose line will be broken, each kind as often."""
    whole = [record for record in records if record.dropped is None]
    for number, record in enumerate(rng.sample(whole, round(MALFORMED * len(records)))):
        record.flaws.append(list(BROKEN)[number % len(BROKEN)])
        record.dropped = "malformed"


def mark_exact_duplicates(records: list[Record]) -> None:
    """Notes which titles and contents repeat, and drops the later one of two records that are alike in both."""
    kept = [record for record in records if record.dropped is None]
    seen: set[object] = set()
    for record in kept:
        title, content = record.truth.title.casefold(), record.truth.content
        repeats = {"repeated_title": ("title", title), "repeated_content": ("content", content)}
        record.flaws += [flaw for flaw, key in repeats.items() if key in seen]
        record.flaws += ["very_long"] if len(content) >= VERY_LONG_CHARS else []
        record.dropped = "duplicate" if (title, content) in seen else None
        seen.update([*repeats.values(), (title, content)])


def mark_near_duplicates(records: list[Record]) -> None:
    """Drops all but the first of near contents among those kept, planted or not: the catalogue has such by itself."""
    kept = [record for record in records if record.dropped is None]
    for place, first in enumerate(first_near_duplicates([record.truth.content for record in kept])):
        if first < place:
            kept[place].flaws.append("near_content")
            kept[place].dropped = "near_duplicate"


def make_uids(rng: random.Random, records: list[Record]) -> list[str]:
    """One product number a record, all different: ten characters, an ISBN-10 for a book."""
    uids: dict[str, None] = {}  # a set would lose the order
    for number, record in enumerate(records, start=1):
        while len(uids) < number:
            uids[draw_isbn(rng) if record.truth.kind == "book" else draw_product_number(rng)] = None
    return list(uids)


def draw_isbn(rng: random.Random) -> str:
    """An ISBN-10 with its check digit; English ones begin with 0 or 1."""
    digits = [rng.randint(0, 1), *(rng.randint(0, 9) for _ in range(8))]
    check = -sum(digit * weight for digit, weight in zip(digits, range(10, 1, -1), strict=True)) % 11
    return "".join(map(str, digits)) + ("X" if check == 10 else str(check))


def draw_product_number(rng: random.Random) -> str:
    """A number of the kind that other products have, such as B00F3K9ZQ1."""
    return "B00" + "".join(rng.choices(string.digits + string.ascii_uppercase, k=7))


def raw_form(rng: random.Random, uid: str, record: Record) -> dict[str, Any]:
    """The record with the published file's keys."""
    targets = sorted(rng.sample(range(LABELS), rng.randint(1, 5)))
    texts = {"title": record.title, "content": record.content}
    return {"uid": uid, **texts, "target_ind": targets, "target_rel": [1.0] * len(targets)}


def encode_line(record: object) -> bytes:
    """A JSON line without its end."""
    return json.dumps(record, ensure_ascii=False).encode()


def without_content(raw: dict[str, Any]) -> bytes:
    """A line that lacks a field."""
    return encode_line({key: value for key, value in raw.items() if key != "content"})


BROKEN: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "no_json": lambda raw: encode_line(raw)[1:-1],
    "missing_field": without_content,
    "wrong_type": lambda raw: encode_line(raw | {"title": [raw["title"]]}),
    "no_object": lambda raw: encode_line(list(raw.values())),
    "cut_off": lambda raw: encode_line(raw)[:60],
    "invalid_utf8": lambda raw: encode_line(raw)[:-1] + b', "note": "caf\xe9"}',
}


def make_line(raw: dict[str, Any], record: Record) -> bytes:
    """The record's line of the file, broken if it is to be."""
    return BROKEN[record.flaws[-1]](raw) if record.dropped == "malformed" else encode_line(raw)


def make_ground_truth(uids: list[str], records: list[Record]) -> dict[str, Any]:
    """What was planted, per uid, and what broke a line, per line number."""
    numbered = list(enumerate(records, start=1))
    malformed = {str(line): record.flaws[-1] for line, record in numbered if record.dropped == "malformed"}
    pairs = zip(uids, records, strict=True)
    flawed = {uid: record_truth(record) for uid, record in pairs if record.flaws and record.dropped != "malformed"}
    return {"records": flawed, "malformed": malformed}


def record_truth(record: Record) -> dict[str, Any]:
    """The flaws of a record, the reason why it is dropped, and the texts that cleaning gives back if it can."""
    known: dict[str, Any] = {"flaws": record.flaws}
    if record.dropped:
        known["dropped"] = record.dropped
    if record.dropped in (None, "duplicate", "near_duplicate"):
        texts = {"title": (record.title, record.truth.title), "content": (record.content, record.truth.content)}
        known |= {key: clean for key, (raw, clean) in texts.items() if raw != clean}
    return known


def compress_gzip(data: bytes) -> bytes:
    """Gzip with neither a name nor a time in it, so that equal data give equal bytes."""
    packed = BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, compresslevel=9, mtime=0) as file:
        file.write(data)
    return packed.getvalue()


def make_sample(seed: int, count: int) -> tuple[bytes, bytes]:
    """The raw file and the truth about it, neither compressed."""
    rng = random.Random(seed)
    records = make_records(rng, count)
    uids = make_uids(rng, records)
    lines = [make_line(raw_form(rng, uid, record), record) for uid, record in zip(uids, records, strict=True)]
    return b"\n".join(lines) + b"\n", encode_line(make_ground_truth(uids, records))


def main() -> None:
    """Writes the sample and its truth."""
    raw, truth = make_sample(SEED, RECORDS)
    for path, data in ((RAW, raw), (GROUND_TRUTH, truth)):
        with atomic_file(path) as partial:
            partial.write_bytes(compress_gzip(data))
    print(f"Wrote {RECORDS} lines to {RAW} ({RAW.stat().st_size / 1e6:.2f} MB), and {GROUND_TRUTH}.")


if __name__ == "__main__":
    main()
