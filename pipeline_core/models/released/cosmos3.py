"""The preset of a Cosmos 3 folder as it is released, which brings no preset.json."""

from __future__ import annotations

from pathlib import Path

from ..families import FAMILIES
from ..folders.layout import is_omni_folder
from ..folders.preset import Preset


def released_preset(folder: Path) -> Preset | None:
    """The preset of a Cosmos 3 folder, None for any other.

    Window, steps, guidance and its control axis are NVIDIA's recipe for edges, blur and depth. The levels are
    Transfer2.5's: the release's own end at a flow sigma of .23 with one step to 0, which no inversion can begin with.
    The state is a VE one, see transfer25.py.
    """
    if not is_omni_folder(folder):
        return None
    family = FAMILIES["cosmos3"]
    return Preset(
        name="cosmos3-nano",
        window=family.window,
        overlap=family.overlap,
        size=family.size,
        spatial_ratio=family.spatial_ratio,
        max_text_tokens=8192,
        interpolant="ve",
        sigma_min=0.01,
        sigma_max=200.0,
        steps=family.steps,
        cfg=family.cfg,
        prompt="a photorealistic dashcam video of a city street, filmed with a high-end camera in natural light",
        negative_prompt="a video game with simple graphics: flat shading, hard fake light, plain textures, coarse "
        "geometry, cartoon-like and pixelated frames, flicker",
        inversion_prompt="a rendered driving simulator video, flat shading",
        control_weights=dict(family.control_weights),
        maps=family.maps,
        control_guidance=1.5,
    )
