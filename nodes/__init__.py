"""The pack's nodes: one file per mechanism, schema and a thin call into pipeline_core; adapter.py alone knows comfy."""


def all_nodes() -> list[type]:
    """Every node class, in the order of the menu."""
    return []
