"""Inputs held to their kind, those of wires and those of widgets: an API graph may have any JSON in their place."""

from collections.abc import Mapping

import torch

from ...pipeline_core.errors import UserError

WIDGETS = {
    "INT": ((int, float), "a number"),
    "FLOAT": ((int, float), "a number"),
    "BOOLEAN": ((bool, int), "true or false"),
    "STRING": (str, "a text"),
    "COMBO": (str, "one of its options"),
}
JSON = (bool, int, float, str, list, tuple, Mapping, type(None))


def check_socket(name: str, kind: str, value) -> None:
    """UserError unless `value` is what widgets or nodes give for this io type (INT, IMAGE, ...). name: the input."""
    if kind in WIDGETS:
        types, words = WIDGETS[kind]
        if not isinstance(value, types):
            raise UserError(f"{name} is {_words(value)} but must be {words}: change {name}.")
    elif not _HOLDS.get(kind, _is_object)(value):
        raise UserError(f"{name} is {_words(value)} but must be {kind} from another node: connect one to {name}.")


def _is_object(value) -> bool:
    return not isinstance(value, JSON)


def _is_latent(value) -> bool:
    return isinstance(value, Mapping) and _is_object(value.get("samples"))


def _is_conditioning(value) -> bool:
    pairs = value if isinstance(value, list) else [None]
    return all(isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[1], Mapping) for pair in pairs)


_HOLDS = {
    "IMAGE": torch.is_tensor,
    "MASK": torch.is_tensor,
    "SIGMAS": torch.is_tensor,
    "LATENT": _is_latent,
    "CONDITIONING": _is_conditioning,
}


def _words(value) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, (int, float)):
        return str(value)
    return "a text" if isinstance(value, str) else f"a {type(value).__name__}"
