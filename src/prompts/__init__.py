"""The one place that knows what a prompt looks like, in training, generation, serving and the exported files."""
