"""ComfyUI's own vision encoders, tiny and with random weights."""

import json
import tempfile

import comfy.clip_vision
from comfy_api.latest import io

from .models import SEED, fill, schema

SMALL = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "num_hidden_layers": 2}
# The old end has places for 37 x 37 patches only, so DINOv2 keeps its own picture size.
CONFIGS = {
    "clip": {
        **SMALL, "model_type": "clip_vision_model", "image_size": 28, "patch_size": 14, "num_channels": 3,
        "projection_dim": 8, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
    },
    "dinov2": {
        **SMALL, "model_type": "dinov2", "image_size": 518, "patch_size": 14, "num_channels": 3, "layer_norm_eps": 1e-6,
        "use_swiglu_ffn": False, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
    },
}  # fmt: skip


class TinyClipVision(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        kind = io.Combo.Input("kind", options=list(CONFIGS), default="clip", tooltip="Which encoder.")
        return schema("TinyClipVision", "CLIP_VISION", [kind, SEED], [io.ClipVision.Output()])

    @classmethod
    def execute(cls, kind, seed):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(CONFIGS[kind], file)
            file.flush()
            model = comfy.clip_vision.ClipVisionModel(file.name)
        fill(model.model, seed)
        return io.NodeOutput(model)


VISION = [TinyClipVision]
