"""Two dials for people who do not want to know the settings: how real, and how faithful to the source.

Measured on the embedded model (benchmarks/guidance.py, tables "map" and "dials", a full inversion at CFG 1 being the
preset): less noise in the start costs realism first (the critic falls from .95 at sigma 80 to .48 at sigma 9 and 0 at
sigma 3) and gives edges back; guidance raises realism without cost up to CFG 2 and spends PSNR and colours beyond; at
a lower strength a guidance of 3 is safe and brings most of the realism back, so that strength .75 at CFG 3 has the
better edges and the same colours as the preset; fresh noise in the inverted one lets edges and colours go; weaker
controls hardly do, because the inverted noise holds them too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import exp, log

from ..errors import UserError
from ..models.folders.preset import Preset
from .settings import EnhanceSettings

MOST_GUIDANCE = 1.0  # what full realism adds to the guidance scale
FAITHFUL_STRENGTH, FAITHFUL_GUIDANCE = 0.75, 2.0  # full faithfulness: share of the strength, addition to the scale
MOST_BLEND = 0.5  # share of fresh noise where nothing has to be faithful
FULL = 0.99  # the share of noise that stands for a full grid's start (VE sigma 99)


def dials(realism: float, faithfulness: float, preset: Preset) -> EnhanceSettings:
    """Settings for two dials in [0, 1]; 0.5 and 0.5 are the preset's own.

    realism: below 0.5 less noise in the start, down to half of the preset's strength, by equal steps of log sigma;
    above 0.5 up to the full grid and a stronger guidance. faithfulness: above 0.5 less noise in the start and the
    guidance that pays for it; below 0.5 fresh noise in the inverted one (starts without inversion: more noise).
    Raises UserError for a dial outside [0, 1].
    """
    for name, value in (("realism", realism), ("faithfulness", faithfulness)):
        if not 0 <= value <= 1:
            raise UserError(f"{name} is {value} but must be from 0 to 1: change {name}.")
    push, hold, free = max(0.0, 2 * realism - 1), max(0.0, 2 * faithfulness - 1), max(0.0, 1 - 2 * faithfulness)
    strength = _between(preset.strength / 2, preset.strength, min(1.0, 2 * realism))
    strength += (1 - strength) * push
    strength *= 1 - (1 - FAITHFUL_STRENGTH) * hold
    inverted = preset.start == "inversion"
    return EnhanceSettings(
        strength=strength if inverted else strength + (1 - strength) * free,
        cfg=preset.cfg + MOST_GUIDANCE * push + FAITHFUL_GUIDANCE * hold,
        noise_blend=MOST_BLEND * free if inverted else 0.0,
    )


def _between(low: float, high: float, share: float) -> float:
    """The strength at `share` of the way from low to high, even in log sigma, sigma = strength / (1 - strength)."""
    if share == 1:
        return high
    ends = [log(s / (1 - s)) for s in (low, min(high, FULL))]
    sigma = exp(ends[0] + share * (ends[1] - ends[0]))
    return sigma / (1 + sigma)


def job_settings(
    preset: Preset, values: Mapping[str, object], realism: float | None = None, faithfulness: float | None = None
) -> EnhanceSettings:
    """The settings that `values` name, which go before the dials; a dial that is None stands in the middle.

    Raises UserError for a dial outside [0, 1].
    """
    if realism is None and faithfulness is None:
        return EnhanceSettings(**values)
    turned = dials(*(0.5 if dial is None else dial for dial in (realism, faithfulness)), preset)
    return replace(turned, **values)
