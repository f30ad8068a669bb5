"""Synthetic stand-ins that let the pipeline run anywhere: an invented catalogue, a sample made from it, a small model.

No stage imports this package: it writes data/sample and models/embedded, which are committed. A project with data and
models of its own can delete it.
"""
