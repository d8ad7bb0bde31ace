"""Clips longer than the model's window: which windows, and how their frames are put together."""

from .plan import Window, plan_windows
from .stitch import blend_windows

__all__ = ["Window", "blend_windows", "plan_windows"]
