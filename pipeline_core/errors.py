"""The one exception that means: the input is wrong, and here is what to change."""


class UserError(ValueError):
    """Bad input. The message is one sentence: what came, what is needed, which input to change."""
