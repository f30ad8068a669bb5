"""Scores of answers against held-out references, baselines without a model, and how sure the differences are."""
