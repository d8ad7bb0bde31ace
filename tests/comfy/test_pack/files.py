"""Clips that no honest node makes, and exact values of a graph on disk for the tests to read."""

import os
import tempfile

import folder_paths
import numpy as np
import torch
from comfy_api.latest import io, ui

from .probes import schema


class FlatImages(io.ComfyNode):
    """One value everywhere, in any shape: no frames, an alpha channel, a value beyond white."""

    @classmethod
    def define_schema(cls):
        inputs = [
            io.Int.Input("frames", default=5, min=0, max=1024),
            io.Int.Input("height", default=32, min=1, max=4096),
            io.Int.Input("width", default=48, min=1, max=4096),
            io.Int.Input("channels", default=3, min=1, max=8),
            io.Float.Input("value", default=0.5, min=-10.0, max=10.0),
        ]
        return schema("FlatImages", "flat images of any shape", inputs, [io.Image.Output()])

    @classmethod
    def execute(cls, frames, height, width, channels, value):
        return io.NodeOutput(torch.full((frames, height, width, channels), value))


class ImageFile(io.ComfyNode):
    """Writes the IMAGE as .npy and says its path; once per chunk of a list."""

    @classmethod
    def define_schema(cls):
        return schema("ImageFile", "exact image values", [io.Image.Input("image")], [], is_output_node=True)

    @classmethod
    def execute(cls, image):
        handle, path = tempfile.mkstemp(".npy", dir=folder_paths.get_temp_directory())
        with os.fdopen(handle, "wb") as file:
            np.save(file, image.cpu().numpy())
        return io.NodeOutput(ui=ui.PreviewText(path))


FILES = [FlatImages, ImageFile]
