"""Asking a model: prompts and sampling in, answers out, independent of the engine that runs the model."""
