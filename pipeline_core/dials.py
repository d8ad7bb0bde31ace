"""Two dials for people who do not want to know the settings: how real, and how faithful to the source."""

from __future__ import annotations

from collections.abc import Iterable

from .conditions.stack import normalise_weights
from .errors import UserError
from .models.preset import Preset
from .settings import EnhanceSettings

MOST_GUIDANCE = 2.0  # what full realism adds to the preset's guidance scale


def dials(realism: float, faithfulness: float, preset: Preset, available: Iterable[str]) -> EnhanceSettings:
    """Settings for two dials in [0, 1]; 0.5 and 0.5 are the preset's own.

    realism: below 0.5 less noise in the start, down to half of the preset's; above 0.5 up to the full grid and a
    stronger guidance. faithfulness: below 0.5 weaker controls, down to none; above 0.5 less noise in the start, down
    to half. available: the controls that the job has a map for; their weights are scaled after w / max(1, sum w),
    which would undo any scaling before it. Raises UserError for a dial outside [0, 1].
    """
    for name, value in (("realism", realism), ("faithfulness", faithfulness)):
        if not 0 <= value <= 1:
            raise UserError(f"{name} is {value} but must be from 0 to 1: change {name}.")
    push = max(0.0, 2 * realism - 1)
    strength = preset.strength * min(1.0, 0.5 + realism)
    strength = (strength + (1 - strength) * push) * min(1.0, 1.5 - faithfulness)
    controls = dict(preset.control_weights)  # those without a map stay in, so that the job reports them missing
    if faithfulness < 0.5:
        found = normalise_weights({name: controls[name] for name in available if name in controls})
        controls |= {name: 2 * faithfulness * weight for name, weight in found.items()}
    return EnhanceSettings(strength=strength, cfg=preset.cfg + MOST_GUIDANCE * push, controls=controls)
