"""The review of a change: two revisions of the project compared, with a verdict in words and an exit status."""
