"""Serving what the pipeline made: the search for titles, with the records that they are from."""
