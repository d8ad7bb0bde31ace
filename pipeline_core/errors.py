"""The one exception that means: the input is wrong, and here is what to change; and how what came is shown in it."""


class UserError(ValueError):
    """Bad input. The message is one sentence: what came, what is needed, which input to change."""

    __module__ = "builtins"  # ComfyUI's error pane shows a type with its module, which says nothing to whoever reads it


def shown(value: object) -> str:
    """A value that came, short and printable, for a sentence."""
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
