"""What is known of each family of video models: windows, VAE rule, noise levels, guidance, control weights.

One row per family; `find_family` picks it from what ComfyUI knows of a loaded MODEL. Where the numbers come from is
said in docs/models.md. Guidance is on ComfyUI's scale everywhere, D = D_u + cfg (D_c - D_u); papers that write
D_c + g (D_c - D_u) get their 1 from `cfg_offset`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .folders.preset import Preset

VACE, FUN, GUIDE = "VACE", "Fun-Control", "IC-LoRA"  # control inputs that a model has inside itself
CONTROLNET = "ControlNet"  # networks of their own, loaded beside the model


@dataclass(frozen=True)
class Family:
    """Facts and defaults of one family.

    window: the most pixel frames of one pass that it was trained on; overlap: frames neighbouring windows share.
    size: (height, width) in pixels. fps: of the training clips. temporal_ratio, spatial_ratio: pixel frames and pixels
    per latent cell; patch: latent cells per token side. channels: of the latent, 0 where a folder does not say.
    interpolant: "ve" (x0 + sigma n) or "flow" ((1 - sigma) x0 + sigma n); sigma_min, sigma_max on its scale; rho: of
    the Karras grid, 0 where the levels come from a flow shift instead; shift: the flow's, 0 where there is none.
    published_cfg + cfg_offset is ComfyUI's cfg. steps: of one pass.
    control: how it takes maps, "" for not at all; control_weights: before the w / max(1, sum w) rule.
    maps: how its control maps were made in training, a row of conditions.conventions.CONVENTIONS.
    boundary: the sigma where its two experts change over, 0 where it has one network.
    """

    name: str
    title: str
    window: int
    overlap: int
    size: tuple[int, int]
    fps: float
    temporal_ratio: int
    spatial_ratio: int
    patch: int
    channels: int
    interpolant: str
    sigma_min: float
    sigma_max: float
    rho: float
    shift: float
    published_cfg: float
    cfg_offset: float
    steps: int
    control: str = ""
    control_weights: Mapping[str, float] = field(default_factory=dict)
    maps: str = ""
    boundary: float = 0.0

    @property
    def cfg(self) -> float:
        """Guidance as ComfyUI's samplers and this pack's guiders mean it."""
        return self.published_cfg + self.cfg_offset

    @property
    def multiple(self) -> int:
        """Height and width must be multiples of this many pixels."""
        return self.spatial_ratio * self.patch

    def legal(self, frames: int) -> bool:
        """Whether its VAE takes clips of this length as they are."""
        return frames >= 1 and (frames - 1) % self.temporal_ratio == 0

    def pixel_frames(self, latent_frames: int) -> int:
        """The clip length that a latent of so many frames stands for."""
        return 1 + (latent_frames - 1) * self.temporal_ratio

    def windows(self) -> str:
        """The legal lengths of one pass, in words."""
        if self.temporal_ratio == 1:
            return f"any number of frames, up to {self.window} at once"
        return f"1 + a multiple of {self.temporal_ratio} frames, up to {self.window}"


_WAN = dict(
    window=81, overlap=17, size=(480, 832), fps=16.0, temporal_ratio=4, spatial_ratio=8, patch=2, channels=16,
    interpolant="flow", sigma_min=0.0, sigma_max=1.0, rho=0.0, shift=8.0, published_cfg=5.0, cfg_offset=0.0, steps=20,
)  # fmt: skip
_WAN_5B = {**_WAN, "window": 121, "size": (704, 1280), "fps": 24.0, "spatial_ratio": 16, "channels": 48}
_COSMOS = {**_WAN, "overlap": 9, "size": (704, 1280), "cfg_offset": 1.0, "steps": 35}
_EVEN = {"edge": 0.5, "depth": 0.5, "segmentation": 0.5}
_ONE = {"edge": 1.0}  # one control video, or one LoRA, at a time

FAMILIES = {
    family.name: family
    for family in (
        Family(
            "cosmos_transfer1", "Cosmos-Transfer1 7B", control="branches", control_weights=_EVEN,
            maps="cosmos_transfer1",
            **{**_COSMOS, "window": 121, "fps": 24.0, "temporal_ratio": 8, "interpolant": "ve", "sigma_min": 0.002,
               "sigma_max": 80.0, "rho": 7.0, "shift": 0.0, "published_cfg": 7.0},
        ),
        Family(
            "cosmos_transfer25", "Cosmos-Transfer2.5 2B", control="branches",
            # NVIDIA's recipe for driving scenes.
            control_weights={"edge": 0.1, "depth": 0.4, "segmentation": 0.5, "vis": 0.1}, maps="cosmos_transfer25",
            **{**_COSMOS, "window": 93, "shift": 5.0, "published_cfg": 3.0},
        ),
        Family(
            # NVIDIA's recipe is for one map, and each one more is as many tokens as the video.
            "cosmos3", "Cosmos 3 Nano", control="tokens", maps="cosmos_transfer25",
            control_weights={**_ONE, "depth": 0.0, "segmentation": 0.0, "vis": 0.0},
            **{**_WAN_5B, "overlap": 9, "size": (704, 1280), "shift": 10.0, "published_cfg": 3.0, "steps": 35},
        ),
        Family("wan", "Wan", **_WAN),
        Family("wan_5b", "Wan 2.2 5B", **_WAN_5B),
        Family("wan_vace", "Wan VACE", control=VACE, control_weights=_EVEN, maps="wan", **{**_WAN, "shift": 16.0}),
        Family(
            "wan21_fun", "Wan 2.1 Fun-Control", control=FUN, control_weights=_ONE, maps="wan",
            **{**_WAN, "shift": 5.0, "published_cfg": 6.0},
        ),
        Family(
            "wan22_fun", "Wan 2.2 Fun-Control", control=FUN, control_weights=_ONE, maps="wan", boundary=0.875,
            **{**_WAN, "published_cfg": 3.5},
        ),
        Family("wan22_fun_5b", "Wan 2.2 Fun-Control 5B", control=FUN, control_weights=_ONE, maps="wan", **_WAN_5B),
        Family(
            "ltxv", "LTX-Video", control=GUIDE, control_weights=_ONE, maps="ltxv",
            window=97, overlap=17, size=(512, 768), fps=25.0, temporal_ratio=8, spatial_ratio=32, patch=1, channels=128,
            interpolant="flow", sigma_min=0.0, sigma_max=1.0, rho=0.0, shift=2.37, published_cfg=3.0, cfg_offset=0.0,
            steps=30,
        ),
        Family(
            "sd15", "Stable Diffusion 1.5", control=CONTROLNET, control_weights=_EVEN, maps="sd15",
            window=16, overlap=4, size=(512, 512), fps=8.0, temporal_ratio=1, spatial_ratio=8, patch=8, channels=4,
            interpolant="ve", sigma_min=0.0292, sigma_max=14.6146, rho=7.0, shift=0.0, published_cfg=7.5,
            cfg_offset=0.0, steps=20,
        ),
    )
}  # fmt: skip


def control_kind(unet_config: Mapping) -> str:
    """VACE, FUN or GUIDE: the control input that a network has inside itself; "" for none.

    unet_config: what ComfyUI reads from the weights (MODEL.model.model_config.unet_config).
    """
    image_model, model_type = unet_config.get("image_model"), unet_config.get("model_type")
    if image_model == "ltxv":
        return GUIDE
    if image_model != "wan2.1":
        return ""
    if model_type == "vace":
        return VACE
    channels = unet_config.get("out_dim", 16)
    added = unet_config.get("in_dim", channels) - channels
    # Control latent and start image, and from Wan 2.2 on the start image's mask of 4 channels.
    return FUN if model_type in ("t2v", "i2v") and added in (2 * channels, 2 * channels + 4) else ""


def find_family(unet_config: Mapping) -> Family | None:
    """The family of a network, None for one that is not in the table.

    Wan 2.1 and 2.2 have the same layout where the weights have the same role, so they share a row.
    """
    image_model = unet_config.get("image_model")
    if image_model == "cosmos":
        return FAMILIES["cosmos_transfer1"]
    if image_model == "ltxv":
        return FAMILIES["ltxv"]
    if image_model is None and unet_config.get("context_dim") == 768 and unet_config.get("model_channels") == 320:
        return FAMILIES["sd15"]
    if image_model != "wan2.1" or unet_config.get("model_type") not in ("t2v", "i2v", "vace"):
        return None
    kind, channels = control_kind(unet_config), unet_config.get("out_dim", 16)
    if kind == VACE:
        return FAMILIES["wan_vace"]
    if kind == FUN:
        older = unet_config["in_dim"] - channels == 2 * channels
        return FAMILIES["wan22_fun_5b" if channels == 48 else "wan21_fun" if older else "wan22_fun"]
    return FAMILIES["wan_5b" if channels == 48 else "wan"]


def family_of_preset(preset: Preset) -> Family:
    """A model folder's own settings in the same form."""
    flow = preset.interpolant == "flow"

    def scaled(sigma: float) -> float:
        return sigma / (1 + sigma) if flow else sigma

    return Family(
        preset.name, preset.name, preset.window, preset.overlap, preset.size, fps=0.0,
        temporal_ratio=preset.temporal_ratio, spatial_ratio=preset.spatial_ratio, patch=2, channels=0,
        interpolant=preset.interpolant, sigma_min=scaled(preset.sigma_min), sigma_max=scaled(preset.sigma_max),
        rho=preset.rho, shift=0.0, published_cfg=preset.cfg, cfg_offset=0.0, steps=preset.steps, control="branches",
        control_weights=preset.control_weights, maps=preset.maps,
    )  # fmt: skip
