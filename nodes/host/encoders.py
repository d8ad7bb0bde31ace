"""ComfyUI's CLIP_VISION (CLIP, DINOv2, SigLIP) as the feature network of the metrics."""

import torch
from torch import Tensor

from ...pipeline_core.errors import UserError
from ...pipeline_core.metrics.features import Encode

BATCH = 16


def vision_encoder(clip_vision) -> Encode:
    """Frames (N, H, W, 3) in [0, 1] -> image embeddings (N, D) on the CPU. Frames are squeezed to the network's square,
    not cropped: what stands at the edge of a wide frame counts too."""

    def encode(frames: Tensor) -> Tensor:
        parts = [clip_vision.encode_image(part, crop=False) for part in frames.split(BATCH)]
        embeddings = [getattr(part, "image_embeds", None) for part in parts]
        if embeddings[0] is None or embeddings[0].dim() != 2:
            raise UserError("clip_vision gives no image embedding: connect a CLIP or DINOv2 vision model to it.")
        return torch.cat(embeddings).float().cpu()

    return encode
