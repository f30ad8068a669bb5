"""The steps of datatrove's pipeline that are ours: cleaning, shards of Parquet, signatures, and which duplicates go.

Covers what a task does to its shard; the comparison of signatures and the filter are datatrove's own. Imports
datatrove, which is in extras/: only what has checked for it imports this.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl
from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
from datatrove.utils.word_tokenizers import WhitespaceTokenizer

from src.params import Params
from src.records.cleaning import clean_batch
from src.records.deduplication import first_positions, mix_keys
from src.records.filtering import kept_records
from src.records.near_duplicates import hash_shingles, merge_clusters
from src.records.parquet import BATCH_ROWS, RECORDS, parquet_writer, read_batches
from src.records.raw_files import read_records
from src.records.raw_filters import find_raw_drop_reasons
from src.records.refusals import check_rejected_share
from src.records.same_product import product_keys

PRIME = 2**61 - 1  # datatrove's hashes are below it


def shard_name(rank: int) -> str:
    """The file of a shard: five digits, so that names are in the order of the shards."""
    return f"{rank:05d}.parquet"


class CleanShard(PipelineStep):
    """Reads a task's shard and cleans it as the stages decompress and clean do, up to the comparison of records."""

    name, type = "clean", "Shelftalk"

    def __init__(self, shards: Sequence[str], params: Params) -> None:
        """Takes the shards of all tasks, of the kinds that `data.raw` may be, and the sections data and clean."""
        super().__init__()
        self.shards, self.params = shards, params

    def run(self, data: Iterable[Document] | None = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Yields the records of shard `rank` that no filter drops, with the keys by which they are compared."""
        settings = self.params.data.model_copy(update={"raw": self.shards[rank], "lines": 0})
        counts, first_rejected = Counter[str](), None
        for block in read_records(settings):
            counts.update(lines=block.lines - block.blank, rejected=len(block.rejected), cut_off=block.cut_off)
            first_rejected = first_rejected or next(iter(block.rejected), None)
            records = block.records.filter(find_raw_drop_reasons(block.records, self.params).is_null())
            kept = kept_records(clean_batch(records, self.params).after)
            yield from to_documents(kept, self.params.clean.duplicates)
        check_rejected_share(counts, first_rejected, settings)


def to_documents(records: pl.DataFrame, policy: str) -> Iterator[Document]:
    """Clean records as datatrove's documents, with two numbers that are equal where records may be duplicates.

    Args:
        records: with title_key and content_key.
        policy: clean.duplicates; for exact ones titles have to be equal, too.
    """
    keys = records.select("title_key", "content_key").hstack(product_keys(records))
    equal = ["content_key", "form_key", "numbers_key", *(["title_key"] if policy == "exact" else [])]
    numbers = mix_keys(keys.select(equal)).tolist(), mix_keys(keys.select("form_key", "numbers_key")).tolist()
    for (uid, title, content), *same in zip(records.select(*RECORDS).iter_rows(), *numbers, strict=True):
        yield Document(content, uid, metadata={"title": title, "same": same})


class ReadShard(PipelineStep):
    """Reads what WriteShard of the same rank has written."""

    name, type = "read", "Shelftalk"

    def __init__(self, folder: Path) -> None:
        """Takes the folder of the shards."""
        super().__init__()
        self.folder = folder

    def run(self, data: Iterable[Document] | None = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Yields the records, in their order."""
        for batch in read_batches(self.folder / shard_name(rank)):
            for uid, title, content in batch.iter_rows():
                yield Document(content, uid, metadata={"title": title})


class WriteShard(PipelineStep):
    """Writes a task's records to a file of uid, title and content, also where there are none, and passes them on."""

    name, type = "write", "Shelftalk"

    def __init__(self, folder: Path) -> None:
        """Takes the folder of the shards."""
        super().__init__()
        self.folder = folder

    def run(self, data: Iterable[Document], rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Yields the records again, batch by batch; the file takes its place when all are written."""
        documents = iter(data)
        with parquet_writer(self.folder / shard_name(rank)) as append:
            while batch := list(islice(documents, BATCH_ROWS)):
                rows = [(each.id, each.metadata["title"], each.text) for each in batch]
                append(pl.DataFrame(rows, schema=RECORDS, orient="row"))
                yield from batch


class ProductSignature(MinhashDedupSignature):
    """datatrove's MinHash of our shingles, in which only records of the same product agree.

    The last band is no MinHash: it agrees where contents are equal in all letters and digits.
    """

    def __init__(self, folder: Path, config: MinhashConfig) -> None:
        """Takes the folder of the signatures, and how many rows and bands they have."""
        super().__init__(str(folder), config, WhitespaceTokenizer())  # which is never asked: the shingles are ours

    def run(self, data: Iterable[Document], rank: int = 0, world_size: int = 1) -> None:
        """Writes the signatures of the task's records."""
        super().run(map(self._take_keys, data), rank, world_size)

    def _take_keys(self, document: Document) -> Document:
        self._equal, self._product = document.metadata["same"]
        return document

    def get_shingles(self, text: str) -> np.ndarray:
        """Hashes of the content's shingles, of the shape that datatrove wants."""
        return hash_shingles(pl.Series([text]))[0].reshape(-1, 1)

    def get_signature(self, shingles: np.ndarray) -> list[list[int]]:
        """The bands of one record: those of its shingles, moved by its product's key, then that of equal contents."""
        *near, last = super().get_signature(shingles)
        moved = [[(number + self._product) % PRIME for number in band] for band in near]
        return [*moved, [self._equal % PRIME] * len(last)]


class KeepFirst(PipelineStep):
    """Decides which records go: of those that pairs tie together, all but the first by shard and place in it.

    In place of datatrove's own step, which keeps any one of them and holds the pairs as Python's objects.
    """

    name, type = "keep the first", "Shelftalk"

    def __init__(self, pairs: Path, removed: Path) -> None:
        """Takes the folder of the pairs, and the one to write to in the form that datatrove's filter reads."""
        super().__init__()
        self.pairs, self.removed = pairs, removed

    def run(self, data: Iterable[Document] | None = None, rank: int = 0, world_size: int = 1) -> None:
        """Writes the places of the records that go, a file for each shard that has any."""
        found = [np.fromfile(file, "<u4").astype(np.uint64) for file in sorted(self.pairs.glob("*.dups"))]
        shards_and_places = np.concatenate([np.empty(0, np.uint64), *found]).reshape(-1, 2, 2)
        records, pairs = np.unique(shards_and_places @ np.array([2**32, 1], np.uint64), return_inverse=True)
        labels = merge_clusters(np.arange(len(records)), pairs.reshape(-1, 2).T)
        later = records[first_positions(labels) < np.arange(len(records))]
        self.removed.mkdir(parents=True, exist_ok=True)
        for shard in np.unique(later >> np.uint64(32)):
            places = later[later >> np.uint64(32) == shard]
            places.astype("<u4").tofile(self.removed / f"{shard:06d}.remove")
