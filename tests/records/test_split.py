"""The split's laws: no leak, no record that moves, a draw that keeps the shares, numbers that never change."""

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from src.records import split
from src.records.parquet import KEYS

few = st.integers(0, 11)
keys = st.lists(st.tuples(few, few, few), min_size=1, max_size=30)


def indexed(rows: list[tuple[int, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict.fromkeys(KEYS, pl.UInt64), orient="row")


def alone(number: int) -> pl.DataFrame:
    """Records that share no key."""
    return indexed([(3 * n, 3 * n + 1, 3 * n + 2) for n in range(number)])


def sampling_keys(number: int, seed: int = 13) -> np.ndarray:
    return split.sampling_keys(pl.Series([str(n) for n in range(number)]), seed).to_numpy()


@given(keys)
def test_no_key_is_in_two_splits(rows: list[tuple[int, ...]]) -> None:
    divided = indexed(rows).with_columns(split.assign_splits(indexed(rows), 13, 0.3, 0.3))
    assert [split.count_shared(divided, key) for key in KEYS] == [0, 0, 0]


@given(keys)
def test_groups_are_those_tied_by_a_key_transitively_and_no_larger(rows: list[tuple[int, ...]]) -> None:
    expected = list(range(len(rows)))
    for _ in rows:  # spread the lowest number of each group until nothing changes
        expected = [min(expected[j] for j, other in enumerate(rows) if tied(row, other)) for row in rows]
    found = split.group_ids(indexed(rows)).tolist()
    assert [found.index(group) for group in found] == expected


def tied(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return any(left == right for left, right in zip(one, other, strict=True))


@given(keys)
def test_splits_do_not_depend_on_the_order(rows: list[tuple[int, ...]]) -> None:
    backwards = split.assign_splits(indexed(rows[::-1]), 13, 0.3, 0.3).reverse()
    assert split.assign_splits(indexed(rows), 13, 0.3, 0.3).to_list() == backwards.to_list()


def test_splits_have_their_shares_and_change_with_the_seed() -> None:
    splits = split.assign_splits(alone(5000), 13, 0.1, 0.2)
    shares = {name: float((splits == name).to_numpy().mean()) for name in split.SPLITS}
    assert abs(shares["validation"] - 0.1) < 0.02 and abs(shares["test"] - 0.2) < 0.02
    assert not splits.equals(split.assign_splits(alone(5000), 14, 0.1, 0.2))


def test_no_records_have_no_split() -> None:
    assert split.assign_splits(indexed([]), 13, 0.1, 0.1).len() == 0


def test_shared_counts_a_leak() -> None:
    leaking = indexed([(1, 5, 8), (1, 6, 9), (2, 6, 9)]).with_columns(split=pl.Series(["train", "test", "test"]))
    assert [split.count_shared(leaking, key) for key in KEYS] == [1, 0, 0]


def test_numbers_are_those_that_splitmix64_gives() -> None:
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    start = np.array([1234567], np.uint64)
    assert [int(split.mix_bits(start, seed)[0]) for seed in range(3)] == published
    assert split.mix_bits(start, 2**70)[0] == split.mix_bits(start, 0)[0]


def test_sampling_keys_are_the_same_in_every_version() -> None:
    assert split.sampling_keys(pl.Series(["0001360000", "é"]), 13).to_list() == [
        17763196460297543911,
        14910984266568620498,
    ]


@given(st.integers(1, 500), st.integers(1, 80))
def test_parts_hold_each_record_once_and_differ_by_one_at_most(records: int, parts: int) -> None:
    every = [split.part_range(records, part, parts) for part in range(1, parts + 1)]
    assert [position for part in every for position in part] == list(range(records))
    assert max(map(len, every)) - min(map(len, every)) <= 1


@given(st.lists(st.integers(0, 7), max_size=8), st.integers(0, 50), st.integers(0, 50))
def test_within_gives_the_positions_of_a_part(heights: list[int], start: int, stop: int) -> None:
    rows = pl.DataFrame({"position": range(sum(heights))})
    frames = [rows[end - height : end] for height, end in zip(heights, np.cumsum(heights), strict=True)]
    inside = [row for frame in split.rows_within(frames, range(start, stop)) for (row,) in frame.iter_rows()]
    assert inside == list(range(start, stop))[: max(0, sum(heights) - start)]


@given(st.lists(st.integers(0, 50), min_size=1).filter(any), st.floats(0, 1))
def test_allocations_are_right_to_less_than_one_record(sizes: list[int], share: float) -> None:
    strata = np.array(sizes)
    records = int(share * strata.sum())
    allocated = split.proportional_allocation(strata, records)
    assert allocated.sum() == records
    assert (np.abs(allocated - records * strata / strata.sum()) < 1).all() and (allocated <= strata).all()


@given(st.lists(st.integers(0, 5), min_size=1, max_size=200), st.floats(0, 1))
def test_each_stratum_gives_those_with_its_lowest_sampling_keys(strata: list[int], share: float) -> None:
    codes, numbers = np.array(strata), sampling_keys(len(strata))
    drawn = split.draw_stratified(codes, numbers, int(share * len(strata)))
    assert drawn.sum() == int(share * len(strata))
    for stratum in set(strata):
        here = codes == stratum
        assert numbers[here & drawn].max(initial=0) < numbers[here & ~drawn].min(initial=split.NUMBERS - 1)


def test_a_larger_draw_holds_the_smaller() -> None:
    strata = np.arange(1000) % 3
    small, large = (split.draw_sample(strata, sampling_keys(1000), 0, records) for records in (200, 400))
    assert (small.sum(), large.sum()) == (200, 400)
    assert (small & large).sum() >= 198  # a stratum's rounding may take back one


def test_records_are_drawn_from_the_pool_by_sampling_keys_of_their_own() -> None:
    strata = np.arange(1000) % 3
    pool, chosen, direct = (
        split.draw_sample(strata, sampling_keys(1000), *sizes) for sizes in ((400, 0), (400, 200), (0, 200))
    )
    assert (pool.sum(), chosen.sum()) == (400, 200)
    assert (pool & chosen).sum() == 200 and (pool & direct).sum() < 120
    assert split.draw_sample(strata, sampling_keys(1000), 0, 0).all()


def test_equal_sampling_keys_are_drawn_like_others() -> None:
    assert split.draw_stratified(np.zeros(100, int), np.zeros(100, np.uint64), 37).sum() == 37


def test_strata_are_equal_where_all_dimensions_are() -> None:
    words, lengths = pl.Series(["a", "b", "a", "a"]), pl.Series(["short", "short", "long", "short"])
    frame = pl.DataFrame({"word": words.cast(pl.Enum(["a", "b"])), "length": lengths.cast(pl.Enum(["short", "long"]))})
    first, second, third, fourth = split.stratum_ids(frame).tolist()
    assert first == fourth and len({first, second, third}) == 3


def test_quantiles_are_named_by_their_lengths() -> None:
    names = split.quantile_labels(pl.Series([1, 2, 3, 4, 5, 6, 7, 80], dtype=pl.UInt32), 4)
    assert names.to_list()[::2] == ["1 to 2 characters", "3 to 4 characters", "5 to 6 characters", "7 to 80 characters"]
    assert split.quantile_labels(pl.Series([1, 2, 3]), 2).to_list() == ["1 to 2 characters"] * 2 + ["3 to 3 characters"]
    assert split.quantile_labels(pl.Series([3, 1, 2]), 1).to_list() == ["1 to 3 characters"] * 3


def test_equal_lengths_are_in_one_quantile() -> None:
    names = split.quantile_labels(pl.Series([5, 5, 5, 9]), 4)
    assert names.to_list() == ["5 to 5 characters"] * 3 + ["9 to 9 characters"]
