"""What comes into a node and what goes wrong in it, held to its schema and to one sentence, for all nodes alike.

ComfyUI compares a widget's number with its bounds, which NaN passes, and looks at none that comes by a wire; nor at
what an API graph writes where a wire belongs.
"""

import functools
import math

from ...pipeline_core.doors import sentence
from ...pipeline_core.doors.limits import check_range
from ...pipeline_core.errors import UserError
from .sockets import check_socket


def behind_a_door(node: type) -> type:
    """The node class; its execute refuses, with UserError, numbers that its inputs do not allow, texts that are none
    and what is not of an input's kind, and says in a sentence what the system says of files."""

    schema = functools.cache(node.define_schema)  # not now: nothing is asked of a core at import

    @functools.wraps(node.execute.__func__)
    def execute(cls, **values):
        for entry in schema().inputs:
            if entry.id in values:
                value = values[entry.id]
                for one in value if schema().is_input_list else (value,):
                    # Outputs are None where there is nothing to give, as the maps of a recording without such pictures.
                    if one is not None or not (entry.optional or entry.id in getattr(node, "MAY_BE_NOTHING", ())):
                        _check(entry, one)
        try:
            return node.execute.__func__(cls, **values)
        except (OSError, UnicodeError, RecursionError) as error:
            raise UserError(sentence(error)) from error

    return type(node.__name__, (node,), {"execute": classmethod(execute), "__module__": node.__module__})


def _check(entry, value) -> None:
    check_socket(entry.id, entry.get_io_type(), value)
    if isinstance(value, str):
        if "\0" in value:
            raise UserError(f"{entry.id} holds a NUL character, which no text has: write {entry.id} again.")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise UserError(f"{entry.id} is not Unicode (UTF-8) text: write {entry.id} again.") from error
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        low, high = (getattr(entry, name, None) for name in ("min", "max"))
        check_range(entry.id, value, (-math.inf if low is None else low, math.inf if high is None else high))
