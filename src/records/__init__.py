"""The data side, on Polars: the raw reader, the cleaning rules, duplicates, strata and the split. Knows no model."""
