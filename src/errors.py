"""The one exception for what a user can put right: a bad file, a bad parameter, a missing GPU.

Covers the exception alone; src/stages/runner.py turns it into one sentence and exit status 1.
"""


class UserError(Exception):
    """Says what was set, why it fails and what to change, naming file and line or the parameter."""
