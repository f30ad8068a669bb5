"""The language filter tells languages apart and refuses those that its model does not know."""

import polars as pl
import pytest

from src.errors import UserError
from src.records.language import LanguageFilter

TEXTS = pl.Series(["Owls live in trees and hunt at night.", "Eulen leben in Bäumen und jagen bei Nacht.", "12345"])


@pytest.mark.parametrize(("code", "spoken"), [("en", [True, False, False]), ("de", [False, True, False])])
def test_texts_of_another_language_are_found(code: str, spoken: list[bool]) -> None:
    assert LanguageFilter(code).is_of(TEXTS).to_list() == spoken


def test_a_language_that_is_not_known_is_a_user_error_that_lists_the_known() -> None:
    with pytest.raises(UserError, match=r"clean.language is 'xx'.* set any, or af, .*de.*, zu\."):
        LanguageFilter("xx")
