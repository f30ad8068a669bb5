"""Faults of the files that stages read: raw data of every kind of damage, and results of earlier stages cut off."""

import bz2
import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.table import Fault, contents, each_fault, refusal, set_param

OUTPUTS = ("data", "metrics", "models")
RESTORE = "restore it (`dvc checkout`, or `git checkout` where git keeps it), or let `dvc repro` make it again."


def put(path: str, content: bytes) -> Callable[[], object]:
    """Writes a file in place of another."""

    def breaks() -> None:
        Path(path).unlink(missing_ok=True)
        Path(path).write_bytes(content)

    return breaks


def cut(path: str, share: float) -> Callable[[], object]:
    """Cuts a file off after a share of its bytes."""

    def breaks() -> None:
        content = Path(path).read_bytes()
        put(path, content[: int(len(content) * share)])()

    return breaks


def remove(path: str) -> Callable[[], object]:
    """Removes a file."""
    return lambda: Path(path).unlink()


def raw(name: str, content: bytes) -> Callable[[], object]:
    """Sets data.raw to a new file."""

    def breaks() -> None:
        Path(name).write_bytes(content)
        set_param("data.raw", name)

    return breaks


def zipped(method: int, *names: str, content: bytes = b"{}\n") -> Callable[[], object]:
    """Sets data.raw to a zip of members with equal content."""

    def breaks() -> None:
        with zipfile.ZipFile("raw.zip", "w", method) as archive:
            for name in names:
                archive.writestr(name, content)
        set_param("data.raw", "raw.zip")

    return breaks


def raw_folder() -> None:
    """Sets data.raw to a folder."""
    Path("folder").mkdir()
    set_param("data.raw", "folder")


GOOD = b'{"uid": "1", "title": "Two owls", "content": "Owls that sit in a tree and look at the moon."}\n'
RAW = [
    Fault(
        "missing", lambda: set_param("data.raw", "no/such.zip"), "data.raw is no/such.zip, and there is no such file"
    ),
    Fault("folder", raw_folder, "folder is no folder, or has no files"),
    Fault("zero-in-its-name", lambda: set_param("data.raw", '"a\\0b"'), "and there is no such file"),
    Fault("long-name", lambda: set_param("data.raw", "a" * 300), "File name too long"),
    Fault("empty", raw("raw.gz", b""), "raw.gz is empty: set a file of JSON Lines"),
    Fault("page-as-zip", raw("raw.zip", b"<html>not found"), "raw.zip is neither a zip nor gzip, it starts with"),
    Fault("page-as-gzip", raw("raw.json.gz", b"<html>not found"), "raw.json.gz is neither a zip nor gzip"),
    Fault("page-as-json", raw("page.json", b"<html>\nnot found\n"), "page.json"),
    Fault("utf-16", raw("wide.json", GOOD.decode().encode("utf-16") * 50), "wide.json"),
    Fault("list", raw("list.json", b"[" + GOOD.strip() + b"]\n"), "list.json"),
    Fault("other-fields", raw("other.json", b'{"id": 1, "name": "a"}\n' * 9), "other.json"),
    Fault("numbers-as-texts", raw("number.json", GOOD.replace(b'"Two owls"', b"5") * 9), "number.json"),
    Fault(
        "too-short", raw("short.json", GOOD.replace(b"Two owls", b"a") * 9), "none of the 9 records of short.json is"
    ),
    Fault("gzip-cut-in-header", raw("cut.gz", gzip.compress(GOOD)[:5]), "cut.gz is truncated before its first line"),
    Fault("gzip-checksum", raw("sum.gz", gzip.compress(GOOD * 99)[:-8] + bytes(8)), "sum.gz is damaged"),
    Fault("gzip-then-text", raw("tail.gz", gzip.compress(GOOD) + b"more" * 99), "tail.gz is damaged"),
    Fault("zip-cut", raw("cut.zip", b"PK\x03\x04" + bytes(50)), "cut.zip is damaged"),
    Fault(
        "zip-empty", zipped(zipfile.ZIP_DEFLATED), "raw.zip holds nothing: it needs one file trn.json.gz or trn.json"
    ),
    Fault("zip-of-others", zipped(zipfile.ZIP_DEFLATED, "tst.json"), "raw.zip holds tst.json: it needs one file"),
    Fault("zip-of-two", zipped(zipfile.ZIP_DEFLATED, "a/trn.json", "b/trn.json"), "it needs just one file trn.json.gz"),
    Fault(
        "zip-bzip2", zipped(zipfile.ZIP_BZIP2, "trn.json"), "trn.json is packed by bzip2, which could fill the memory"
    ),
    Fault("zip-lzma", zipped(zipfile.ZIP_LZMA, "trn.json"), "trn.json is packed by lzma, which could fill the memory"),
    Fault("bzip2", raw("raw.json", bz2.compress(GOOD)), "raw.json"),
    Fault("bzip2-bomb", zipped(zipfile.ZIP_BZIP2, "trn.json", content=bytes(2**26)), "unpack it and set that file"),
]


@each_fault(RAW)
def test_raw_data_that_cannot_be_used_is_one_sentence(
    fault: Fault, damaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (damaged / "raw.json").unlink()
    before = contents(*OUTPUTS)
    fault.breaks()
    assert fault.sentence in refusal("decompress", monkeypatch)
    assert contents(*OUTPUTS) == before


def damage(path: str, sentence: str = "") -> list[Fault]:
    """A file of an earlier stage that is gone, empty, cut off, or of another kind."""
    name = sentence or f"{path} is damaged ("
    return [
        Fault(f"{path}-missing", remove(path), path),
        Fault(f"{path}-empty", put(path, b""), name),
        Fault(f"{path}-half", cut(path, 0.5), name),
        Fault(f"{path}-page", put(path, b"<html>not found\n"), name),
        Fault(f"{path}-latin-1", put(path, b'{"a": "caf\xe9"}\n'), name),
    ]


def lines(path: str) -> list[Fault]:
    """The same for a file of JSON Lines, of which the first line tells."""
    gone, empty, *others = damage(path, f"{path}:")
    return [gone, Fault(empty.name, empty.breaks, path), *others]


SPLIT, PROMPTS, TEST = "data/split/train.parquet", "data/prompts/train.jsonl", "data/prompts/test.jsonl"
WEIGHTS = "models/base/model.safetensors"
ANSWERS, PLAN, CARD = "data/generations/tuned.jsonl", "data/training_plan.json", "data/reports/audit.json"
TEMPLATES = {
    "raises": ("{{ raise_exception('no system') }}", "(no system)"),
    "divides-by-zero": ("{{ 1 // 0 }}", "by zero"),
    "no-jinja": ("{% if %}", "Expected an expression"),
    "no-turn": ("{{ messages[9].content }}", "no element 9"),
    "adds-a-number": ("{{ 'a' + 1 }}", "can only concatenate"),
    "endless": ("{% for number in range(10 ** 12) %}a{% endfor %}", "Range too big"),
}
INPUTS = [
    *(
        (stage, Fault(f"template-{name}", put("models/base/chat_template.jinja", text.encode()), said))
        for stage in ("audit", "generate base")
        for name, (text, said) in TEMPLATES.items()
    ),
    *(("clean", fault) for fault in damage("data/records.parquet")),
    *(("sample", fault) for fault in damage("data/clean.parquet")),
    *(("index", fault) for fault in damage("data/clean.parquet")),
    *(("format", fault) for fault in damage(SPLIT)),
    *(("score_cleaning", fault) for fault in damage("data/sample/ground_truth.json.gz")),
    *(("audit", fault) for path in (PROMPTS, TEST) for fault in lines(path)),
    *(("audit", fault) for fault in damage("models/base/tokenizer.json")),
    *(("train", fault) for fault in lines(PROMPTS)[2:]),
    *(("train", fault) for fault in damage(PLAN)),
    *(("generate base", fault) for fault in lines(TEST)[2:]),
    ("generate base", Fault("weights-missing", remove(WEIGHTS), "no file named model.safetensors")),
    *(("generate base", fault) for fault in damage(WEIGHTS, "a file of weights is damaged (")[1:]),
    *(("generate tuned", fault) for fault in lines(TEST)[2:3]),
    *(("generate_endpoints", fault) for fault in lines(TEST)[2:]),
    *(("export", fault) for fault in lines(TEST)[2:]),
    *(("evaluate", fault) for fault in lines(ANSWERS)),
    *(("evaluate", fault) for fault in damage("data/judgements.json")),
    *(("evaluate", fault) for fault in damage("data/split/test.parquet")),
    *(("model_card", fault) for path in (CARD, "models/adapter/base.json") for fault in damage(path)),
]
INPUTS = [(stage, Fault(f"{stage} {fault.name}", fault.breaks, fault.sentence)) for stage, fault in INPUTS]
STAGE_OF = {fault.name: stage for stage, fault in INPUTS}


@each_fault([fault for _, fault in INPUTS])
def test_a_damaged_result_of_an_earlier_stage_is_one_sentence(
    fault: Fault, damaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault.breaks()
    before = contents(*OUTPUTS)
    stage, *variant = STAGE_OF[fault.name].split()
    said = refusal(stage, monkeypatch, *variant)
    assert said.startswith(f"{stage}: ")
    assert fault.sentence in said
    assert "is damaged" not in said or said.endswith(RESTORE)
    assert contents(*OUTPUTS) == before
