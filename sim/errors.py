"""The one exception that a user's input can raise."""


class ExperimentError(ValueError):
    """Input that cannot be understood or run.

    The message is one line that says what was found, where, and what was expected. The command
    line prints it and exits with status 2.
    """
