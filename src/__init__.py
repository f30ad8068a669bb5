"""Shelftalk: fine-tunes small language models to describe a product from its title, as a DVC project."""
