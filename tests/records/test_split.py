"""The split's laws: no leak, no record that moves, strata that keep their shares."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from src.records import split

words = st.sampled_from(["Owl", "owl!", "Fox", "Hen", "Cow", "Elk", "Bee", "Ant", "Cat", "Dog"])
records = st.lists(st.tuples(words, words), min_size=1, max_size=40)


def indexed(rows: list[tuple[str, str]]) -> pl.DataFrame:
    uids = [str(number) for number in range(len(rows))]
    titles, contents = zip(*rows, strict=True)
    return split.index(pl.DataFrame({"uid": uids, "title": titles, "content": contents}))


def spread(number: int) -> pl.DataFrame:
    return indexed([(f"title {n} {'x' * (n % 37)}", f"content {n} {'y' * (n % 101)}") for n in range(number)])


@given(records)
def test_no_title_and_no_content_is_on_two_sides(rows: list[tuple[str, str]]) -> None:
    index = indexed(rows)
    divided = index.with_columns(split.sides(index, 13, 0.3, 0.3))
    assert (split.shared(divided, "title_key"), split.shared(divided, "content_key")) == (0, 0)


def test_groups_are_transitive() -> None:
    group = split.groups(indexed([("A", "x"), ("a!", "y"), ("b", "Y"), ("c", "z")])).to_list()
    assert group[0] == group[1] == group[2] != group[3]


@given(records)
def test_sides_do_not_depend_on_the_order(rows: list[tuple[str, str]]) -> None:
    index = indexed(rows)
    backwards = split.sides(index.reverse(), 13, 0.3, 0.3).reverse()
    assert split.sides(index, 13, 0.3, 0.3).to_list() == backwards.to_list()


def test_sides_have_their_shares_and_change_with_the_seed() -> None:
    index = spread(5000)
    sides = split.sides(index, 13, 0.1, 0.2)
    shares = {side: float((sides == side).to_numpy().mean()) for side in split.SIDES}
    assert abs(shares["validation"] - 0.1) < 0.02 and abs(shares["test"] - 0.2) < 0.02
    assert not sides.equals(split.sides(index, 14, 0.1, 0.2))


def test_shared_counts_a_leak() -> None:
    leaking = indexed([("A", "x"), ("a", "y")]).with_columns(side=pl.Series(["train", "test"]))
    assert (split.shared(leaking, "title_key"), split.shared(leaking, "content_key")) == (1, 0)


@given(st.dictionaries(st.text("abc", min_size=1), st.integers(1, 50), min_size=1), st.floats(0, 1))
def test_quotas_are_right_to_less_than_one_record(sizes: dict[str, int], share: float) -> None:
    total = sum(sizes.values())
    wanted = int(share * total)
    quota = split.quotas(sizes, wanted)
    assert sum(quota.values()) == wanted
    assert all(abs(quota[name] - wanted * size / total) < 1 and quota[name] <= size for name, size in sizes.items())


def test_a_larger_draw_holds_the_smaller() -> None:
    index = spread(1000)
    strata = split.strata(index, 2)
    small, large = (split.draw(index, strata, records, 13) for records in (200, 400))
    assert (small.sum(), large.sum()) == (200, 400)
    assert (small & large).sum() >= 198  # a stratum's rounding may take back one


def test_equal_uids_are_drawn_like_others() -> None:
    index = spread(100).with_columns(uid=pl.lit("same"))
    assert split.draw(index, split.strata(index, 2), 37, 13).sum() == 37


def test_equal_lengths_share_a_stratum() -> None:
    assert split.bins(pl.Series([5, 5, 5, 9]), 4).to_list() == [1, 1, 1, 4]
