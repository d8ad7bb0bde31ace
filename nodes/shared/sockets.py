"""What must come by a wire from another node, held to its kind: an API graph may have any JSON in its place."""

from collections.abc import Mapping

import torch

from ...pipeline_core.errors import UserError

WIDGETS = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
JSON = (bool, int, float, str, list, tuple, Mapping, type(None))


def check_socket(name: str, kind: str, value) -> None:
    """UserError unless `value` is what nodes give for this io type (IMAGE, LATENT, MODEL, ...). name: the input."""
    if kind not in WIDGETS and not _HOLDS.get(kind, _is_object)(value):
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
