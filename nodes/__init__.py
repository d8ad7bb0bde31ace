"""The pack's nodes: one folder per menu category, one file per node, each a schema and a thin call into the core.

shared/ holds what several schemas share; host/ is the only place that touches ComfyUI's own modules.
"""

import logging
from importlib import import_module

FOLDERS = ("loaders", "conditions", "noise", "guidance", "sampling", "video", "metrics")


def all_nodes() -> list[type]:
    """Every node class, in the order of the menu.

    Imported folder by folder: what a newer ComfyUI renamed costs the nodes that need it, and the log says why.
    """
    from .shared.door import behind_a_door

    classes = []
    for folder in FOLDERS:
        try:
            classes += map(behind_a_door, import_module(f".{folder}", __package__).NODES)
        except (ImportError, AttributeError) as cause:
            logging.getLogger(__name__).error(
                "Video Realism: the nodes of the folder %s are missing, because %s: %s.",
                folder,
                type(cause).__name__,
                cause,
            )
    return classes
