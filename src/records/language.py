"""Which texts are in a language, by py3langid's statistics of letters.

Covers one language at a time. Short texts are often taken for another one, and so are lists of names and numbers.
"""

from functools import cache

import polars as pl

from src.errors import UserError


class LanguageFilter:
    """A language, by its two letters of ISO 639-1."""

    def __init__(self, code: str) -> None:
        """Loads the model, which takes half a second.

        Raises:
            UserError: if the model does not know the language.
        """
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        self._code = code
        self._model = LanguageIdentifier.from_model_file(MODEL_FILE)
        known = sorted(label for label in self._model.labels if len(label) == 2)
        if code not in known:
            raise UserError(
                f"clean.language is {code!r}, which py3langid does not know: set any, or {', '.join(known)}."
            )

    def is_of(self, texts: pl.Series) -> pl.Series:
        """Whether each text is most likely in this language; about 50 µs a text."""
        return pl.Series([self._model.classify(text)[0] == self._code for text in texts], dtype=pl.Boolean)


@cache  # the filter is applied to batch after batch
def load_language_filter(code: str) -> LanguageFilter:
    """The filter of a language, loaded once a process."""
    return LanguageFilter(code)
