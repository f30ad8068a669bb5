"""Records, on Polars: reading, cleaning rules, filters, duplicates, strata and splits. Knows no model."""
