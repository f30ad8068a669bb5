"""Models: base model, adapter, attention, batches and loss; knows no file of a stage."""
