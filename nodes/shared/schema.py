"""What a node schema may say at both ends of the supported range of ComfyUI."""

from comfy_api.latest import io


def search_words(*words: str) -> dict:
    """Schema arguments for the node search; nothing on cores whose schema has no such field."""
    return {"search_aliases": list(words)} if "search_aliases" in io.Schema.__dataclass_fields__ else {}
