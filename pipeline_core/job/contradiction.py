"""Does the prompt contradict the clip? What a text-image network sees of the clip's frames, before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from ..conditions.estimated import Agreement
from ..perception.own import own_folder
from ..perception.text_image import LIMIT_FILE, load_agreement
from .own_maps import ClipLook
from .settings import EnhanceSettings

if TYPE_CHECKING:
    from ..models.folders.preset import Preset


def contradiction(agreement: Agreement, frames: Tensor, prompt: str, described: str, preset: Preset) -> float:
    """How much less frames (T, H, W, 3) in [0, 1] show the prompt than what describes them, in the network's log odds.

    What only tells the wished-for look from the clip's own is taken out: the presets' own two prompts differ in that
    alone, so their difference is what a prompt may differ by.
    """
    seen = agreement.log_odds(frames, [described, prompt, preset.inversion_prompt, preset.prompt]).double().mean(0)
    return float((seen[0] - seen[1]) - (seen[2] - seen[3]))


def contradiction_warnings(
    settings: EnhanceSettings, preset: Preset, agreement: Agreement | None, look: ClipLook
) -> list[str]:
    """One sentence where prompt and clip disagree, by `agreement` or, for a clip of the world, by models/perception's
    network; none where neither is there or the clip cannot be read beforehand."""
    if not look.readable:
        return []
    own = own_folder("text_image")
    if agreement is None and own is not None and (own / LIMIT_FILE).is_file() and look.of_the_world:
        agreement = load_agreement(own, look.device)
    if agreement is None:
        return []
    value = contradiction(agreement, look.frames, settings.prompt, settings.inversion_prompt, preset)
    if not value > agreement.limit:
        return []
    return [
        f"The prompt may contradict the clip: {agreement.name} sees it in the frames less than what describes them (by "
        f"{value:.1f} in log odds, of prompts that agree at most {agreement.limit:.1f}). What the frames show and the "
        "prompt denies may be lost; describe what is there, or hold the result by guidance_reach."
    ]
