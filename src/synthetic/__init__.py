"""Synthetic stand-ins that let the pipeline run anywhere: an invented catalogue, a sample made from it, a tiny model.

Only src/stages/base.py imports this package, so that a project with data and models of its own can delete it.
"""
