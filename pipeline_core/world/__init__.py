"""A procedural driving world: one scene from a seed, rendered synthetic or photoreal, with exact buffers."""

from .captions import STYLES, caption
from .looks import LOOKS
from .render import Render, RenderedBuffers, render, render_styles
from .scene import AREAS, Scene, drive_scene, make_scene

__all__ = [
    "AREAS",
    "LOOKS",
    "STYLES",
    "Render",
    "RenderedBuffers",
    "Scene",
    "caption",
    "drive_scene",
    "make_scene",
    "render",
    "render_styles",
]
