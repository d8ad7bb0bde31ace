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


def contradiction(agreement: Agreement, frames: Tensor, prompt: str, plain: str) -> float:
    """How much less frames (T, H, W, 3) in [0, 1] show the prompt than a plain one, in the network's log odds.

    plain: asks for the same look and says nothing of the clip. Against words for the clip as it is, the look that is
    wished for would count as a contradiction, and what a prompt leaves out as well.
    """
    seen = agreement.log_odds(frames, [plain, prompt]).double().mean(0)
    return float(seen[0] - seen[1])


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
    value = contradiction(agreement, look.frames, settings.prompt, preset.prompt)
    if not value > agreement.limit:
        return []
    return [
        f"The prompt may contradict the clip: {agreement.name} sees it in the frames less than the preset's own "
        f"prompt, which says nothing of them (by {value:.1f} in log odds; of prompts that agree at most "
        f"{agreement.limit:.1f}). What the frames show and the prompt denies may be lost; describe what is there, or "
        "hold the result by guidance_reach."
    ]
