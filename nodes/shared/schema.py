"""What a node schema may say at both ends of the supported range of ComfyUI."""

import inspect

from comfy_api.latest import io


def search_words(*words: str) -> dict:
    """Schema arguments for the node search; nothing on cores whose schema has no such field."""
    return {"search_aliases": list(words)} if "search_aliases" in io.Schema.__dataclass_fields__ else {}


def no_new_seed() -> dict:
    """What a seed does after a run: nothing, on cores that let a node say so; else the frontend draws a new one."""
    kinds = getattr(io, "ControlAfterGenerate", None)
    return {"control_after_generate": kinds.fixed if kinds else True}


def advanced(kind: type) -> dict:
    """Arguments of an input of this kind (io.String.Input, ...) that is folded away, on cores that can."""
    return {"advanced": True} if "advanced" in inspect.signature(kind).parameters else {}
