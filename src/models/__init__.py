"""The model side: the base model, training, generation and the exported forms; knows no file of a stage."""
