"""Asking a model: prompts and sampling in, answers out, whatever engine runs the model."""
