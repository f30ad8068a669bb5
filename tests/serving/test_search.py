"""The search for titles: what it finds, what it never does, and the command."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from src.errors import UserError
from src.serving.index import write_index
from src.serving.search import CANDIDATES, INDEX, TitleIndex, similarity
from src.serving.trigrams import fold_title
from src.synthetic.catalogue import generate_products

ROOT = Path(__file__).parents[2]
ODD = ["C++", "C", "C#", "★", "Café Noir", "CAFÉ AU LAIT", "Ａ４ Paper", "東京 Tower", "a", "Lamp", "Lamp", "x" * 2_000]
TITLES = [*(product.title for product in generate_products(seed=5, count=600)), *ODD]
FOLDED = [fold_title(title) for title in TITLES]
UNIQUE = [title for title, folded in zip(TITLES, FOLDED, strict=True) if FOLDED.count(folded) == 1]


def records() -> pl.DataFrame:
    uids = [f"u{number}" for number in range(len(TITLES))]
    return pl.DataFrame({"uid": uids, "title": TITLES, "content": [f"Text of {uid}." for uid in uids]})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index."""
    folder = tmp_path_factory.mktemp("project")
    write_index(folder / INDEX, records().iter_slices(100))
    return folder


@pytest.fixture(scope="module")
def index(project: Path) -> TitleIndex:
    return TitleIndex(project / INDEX)


def test_every_title_finds_itself_first_with_its_record(index: TitleIndex) -> None:
    for number, title in enumerate(TITLES):
        hit = index.search(title)[0]
        assert (hit.title, hit.score) == (title, 100)
        assert hit.text == f"Text of {hit.uid}."
        assert hit.uid == f"u{TITLES.index(title)}", number  # of equal titles the first


@given(title=st.sampled_from(UNIQUE), seed=st.integers(0, 2**16))
def test_case_and_the_order_of_words_do_not_change_the_first_hit(index: TitleIndex, title: str, seed: int) -> None:
    words = title.swapcase().split()
    first = index.search(" ".join(random.Random(seed).sample(words, len(words))), limit=1)[0]
    assert first.score == 100
    assert sorted(fold_title(first.title).split()) == sorted(fold_title(title).split())


@given(query=st.text(max_size=60) | st.text('"*:()^-+ANDORNET%_;\0\n\ud800', max_size=60))
def test_any_text_is_a_query(index: TitleIndex, query: str) -> None:
    hits = index.search(query, limit=20)
    assert len(hits) <= 20
    assert all(0 <= hit.score <= 100 for hit in hits)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_empty_and_endless_queries(index: TitleIndex) -> None:
    assert index.search("") == index.search(" \t\n") == index.search("☃☃☃☃") == []
    assert index.search("lamp " * 2_000)
    assert index.search("x" * 10_000)[0].title == "x" * 2_000


@given(title=st.sampled_from(TITLES), data=st.data())
def test_excluded_records_are_never_found(index: TitleIndex, title: str, data: st.DataObject) -> None:
    found = [hit.uid for hit in index.search(title, limit=CANDIDATES)]
    excluded = data.draw(st.sets(st.sampled_from(found)))
    again = [hit.uid for hit in index.search(title, limit=CANDIDATES, excluded=excluded)]
    assert excluded.isdisjoint(again)
    assert [uid for uid in found if uid not in excluded] == [uid for uid in again if uid in found]


def test_accents_typos_and_missing_words_are_forgiven(index: TitleIndex) -> None:
    assert index.search("cafe noir")[0].title == "Café Noir"
    assert index.search("A4 papr")[0].title == "Ａ４ Paper"
    rng = random.Random(3)
    long = [title for title in UNIQUE if len(title.split()) >= 6]
    found = 0
    for title in long:
        words = title.split()
        del words[rng.randrange(len(words))]
        found += index.search(" ".join(words).replace("e", "", 1))[0].title == title
    assert found > 0.8 * len(long)  # some of the catalogue's titles differ in one word alone


def test_whole_words_count_more_than_scattered_letters() -> None:
    query = "shoon gri stroong"
    scattered = similarity(query, "vieflang stroond grairt shoon fiem")
    assert similarity(query, "cla shoon justrieryrt gri stroong thu") > scattered
    assert similarity(query, "stroong shoon gri") == 100
    assert similarity("tin cup", "blue tin cup with handle") > similarity("tin cup", "tiny cups")


def test_other_words_in_another_order_are_less_alike() -> None:
    assert similarity("oak desk lamp", "oak desk lamp brass") > similarity("oak desk lamp", "brass lamp oak desk")


def test_rare_trigrams_choose_the_candidates(tmp_path: Path) -> None:
    titles = [*(f"Large Lamp {number}" for number in range(2 * CANDIDATES)), "Zyx"]
    write_index(tmp_path / "index.sqlite", [pl.DataFrame({"uid": titles, "title": titles, "content": titles})])
    assert "Zyx" in [hit.uid for hit in TitleIndex(tmp_path / "index.sqlite").search("large lamp zyx", CANDIDATES)]


def test_the_same_records_give_the_same_bytes_in_any_batches(project: Path, tmp_path: Path) -> None:
    for rows in (7, 10_000):
        write_index(tmp_path / "again.sqlite", records().iter_slices(rows))
        assert (tmp_path / "again.sqlite").read_bytes() == (project / INDEX).read_bytes()


def test_an_index_without_records_finds_nothing(tmp_path: Path) -> None:
    assert write_index(tmp_path / "none.sqlite", []) == 0
    assert TitleIndex(tmp_path / "none.sqlite").search("lamp") == []


def test_an_index_is_not_changed_by_a_search(project: Path, index: TitleIndex) -> None:
    before = {path.name: path.read_bytes() for path in (project / "data").iterdir()}
    index.search("lamp")
    assert {path.name: path.read_bytes() for path in (project / "data").iterdir()} == before
    assert list(before) == [INDEX.name]


@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_an_index_that_was_cut_off_is_refused(project: Path, tmp_path: Path, share: float) -> None:
    whole = (project / INDEX).read_bytes()
    (tmp_path / "cut.sqlite").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UserError, match=r"cut\.sqlite is damaged \(.*`dvc repro` make it again"):
        TitleIndex(tmp_path / "cut.sqlite").search(TITLES[0])


@pytest.mark.parametrize("content", [b"<html>not found\n" * 500, b"PAR1" * 9_000])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.sqlite").write_bytes(content)
    with pytest.raises(UserError, match=r"other\.sqlite is damaged"):
        TitleIndex(tmp_path / "other.sqlite")


@given(seed=st.integers(0, 2**32))
@example(seed=478)  # makes a title a number
@example(seed=1755)  # and these the positions of a trigram
@example(seed=2187)
def test_bytes_overwritten_anywhere_are_no_traceback(project: Path, seed: int) -> None:
    content, rng = bytearray((project / INDEX).read_bytes()), random.Random(seed)
    for _ in range(5):
        place = rng.randrange(100, len(content) - 64)
        content[place : place + 64] = rng.randbytes(64)
    (project / "broken.sqlite").write_bytes(content)
    try:
        found = TitleIndex(project / "broken.sqlite")
        for title in TITLES[:20]:
            found.search(title)
    except UserError as error:
        assert "is damaged" in str(error)


def searched(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command, in a folder."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "src.serving.search", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_the_command_prints_hits(project: Path) -> None:
    done = searched(project, "cafe noir", "--limit", "2")
    number = TITLES.index("Café Noir")
    assert done.stdout.splitlines()[:2] == [f"100.0  u{number}  Café Noir", f"       Text of u{number}."]
    assert len(done.stdout.splitlines()) == 4
    found = json.loads(searched(project, "cafe noir", "--json").stdout)
    assert found[0] == {"uid": f"u{number}", "title": "Café Noir", "score": 100.0, "text": f"Text of u{number}."}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((" ",), "search: TITLE is empty: write a title, or words of one"),
        (("lamp", "--limit", "0"), f"search: --limit is 0, and must be 1 to {CANDIDATES}: change it."),
        (("lamp",), "search: data/index.sqlite is missing: run `dvc repro index`"),
    ],
)
def test_what_cannot_be_searched_is_told_in_a_sentence(tmp_path: Path, words: tuple[str], sentence: str) -> None:
    done = searched(tmp_path, *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(sentence)
