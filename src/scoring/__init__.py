"""Scores of answers against held-out descriptions, a baseline without a model, and how sure the differences are."""
