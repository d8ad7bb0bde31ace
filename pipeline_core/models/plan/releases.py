"""The releases that can be planned for: which networks each is made of, and what a call of it is shown."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import UserError
from ..families import FAMILIES, Family
from . import forwards


@dataclass(frozen=True)
class Release:
    """One model as people download it. network, branch, vae, text: names in configs/; branch is "" where the controls
    are inside the network, and `hint` the channels of what shows it a map (of pixels: 3); text is "" where the network
    reads prompts itself, one after the other because they differ in length. experts: networks that share
    the steps, of which one is at work at a time. tokens, width: of a prompt's embedding. vae_type, text_type: what
    these two are held and computed in. controls: maps that the workflow gives it, and the most that it takes.
    folder: whether this pack loads it (Load Video Model, the command line), or ComfyUI does.
    """

    name: str
    title: str
    family: Family
    forward: forwards.Forward
    network: str
    vae: str
    text: str
    tokens: int
    width: int
    branch: str = ""
    hint: int = 16
    experts: int = 1
    vae_type: str = "bf16"
    controls: int = 3
    most_controls: int = 8
    folder: bool = False

    @property
    def reads(self) -> bool:
        """Whether the network reads prompts itself."""
        return not self.text

    @property
    def size(self) -> tuple[int, int]:
        return self.family.size


_WAN_TEXT = dict(text="umt5_xxl", tokens=512, width=4096)

RELEASES = {
    release.name: release
    for release in (
        Release(
            "cosmos_transfer1", "Cosmos-Transfer1 7B", FAMILIES["cosmos_transfer1"], forwards.transfer1, "transfer1",
            "cosmos1_vae", "t5_11b", 512, 1024, branch="transfer1_branch",
        ),
        Release(
            "cosmos_transfer25", "Cosmos-Transfer2.5 2B", FAMILIES["cosmos_transfer25"], forwards.transfer25,
            "transfer25", "wan21_vae", "qwen25_vl_7b", 512, 100352, branch="transfer25_branch", vae_type="fp32",
            folder=True,
        ),
        Release(
            "cosmos3_nano", "Cosmos 3 Nano transfer", FAMILIES["cosmos3"], forwards.cosmos3, "cosmos3_nano",
            "wan22_vae", "", 512, 0, hint=48, vae_type="fp32", controls=1, most_controls=4,
            folder=True,
        ),
        Release(
            "wan_vace_1.3b", "Wan 2.1 VACE 1.3B", FAMILIES["wan_vace"], forwards.wan_vace, "wan_vace_1.3b",
            "wan21_vae", **_WAN_TEXT, hint=96,
        ),
        Release(
            "wan_vace_14b", "Wan 2.1 VACE 14B", FAMILIES["wan_vace"], forwards.wan_vace, "wan_vace_14b", "wan21_vae",
            **_WAN_TEXT, hint=96,
        ),
        Release(
            "wan22_vace_fun", "Wan 2.2 VACE-Fun A14B", FAMILIES["wan_vace"], forwards.wan_vace, "wan_vace_14b",
            "wan21_vae", **_WAN_TEXT, hint=96, experts=2,
        ),
        Release(
            "wan22_fun", "Wan 2.2 Fun-Control A14B", FAMILIES["wan22_fun"], forwards.wan_fun, "wan22_fun", "wan21_vae",
            **_WAN_TEXT, experts=2, controls=1, most_controls=1,
        ),
        Release(
            "wan22_fun_5b", "Wan 2.2 Fun-Control 5B", FAMILIES["wan22_fun_5b"], forwards.wan_fun, "wan22_fun_5b",
            "wan22_vae", **_WAN_TEXT, hint=48, controls=1, most_controls=1,
        ),
        Release(
            "ltxv_13b", "LTX-Video 13B IC-LoRA", FAMILIES["ltxv"], forwards.ltxv, "ltxv_13b", "ltxv_vae", "t5_xxl", 256,
            4096, hint=128, controls=1, most_controls=1,
        ),
        Release(
            "sd15", "Stable Diffusion 1.5", FAMILIES["sd15"], forwards.sd15, "sd15", "sd15_vae", "clip_l", 77, 768,
            branch="sd15_branch", hint=3, controls=2,
        ),
    )
}  # fmt: skip


def find_release(name: str) -> Release:
    """The release of this name. UserError naming those there are."""
    if name not in RELEASES:
        raise UserError(f"model is {name!r}; give {', '.join(RELEASES)}.")
    return RELEASES[name]
