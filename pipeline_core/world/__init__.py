"""A procedural driving world: one scene from a seed, rendered synthetic or photoreal, with exact buffers.

A seed and a version name a scene: version 1, the default, is a straight street, version 2 a town (`world.town`).
"""

from .captions import STYLES, caption
from .looks import LOOKS
from .render import Render, RenderedBuffers, render, render_styles
from .scene import AREAS, Scene
from .seeds import VERSIONS, drive_scene, make_scene
from .town.people import JOINTS
from .town.scene import MAP_SIZES, Town

__all__ = [
    "AREAS",
    "JOINTS",
    "LOOKS",
    "MAP_SIZES",
    "STYLES",
    "VERSIONS",
    "Render",
    "RenderedBuffers",
    "Scene",
    "Town",
    "caption",
    "drive_scene",
    "make_scene",
    "render",
    "render_styles",
]
