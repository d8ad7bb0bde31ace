"""A procedural driving world: one scene from a seed, rendered synthetic or photoreal, with exact buffers."""

from .captions import STYLES, caption
from .looks import LOOKS
from .render import Render, render, render_styles
from .scene import AREAS, Scene, make_scene

__all__ = ["AREAS", "LOOKS", "STYLES", "Render", "Scene", "caption", "make_scene", "render", "render_styles"]
