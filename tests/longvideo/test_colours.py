"""Anchored colours: a drift that was put in is taken out, and what the scene itself does stays."""

import torch

from pipeline_core.longvideo.colours import anchored_colours, colour_offset
from pipeline_core.metrics.seams import Drift


def test_a_creeping_tint_goes_and_the_scenes_own_change_stays():
    """Twelve chunks of a scene that grows darker, in a style that adds a constant and a run that grows redder."""
    generator, style = torch.Generator().manual_seed(0), torch.tensor([0.1, 0.05, -0.02])
    base = torch.rand(4, 8, 10, 3, generator=generator) * 0.4 + 0.25
    sources = [base - 0.01 * i for i in range(12)]
    crept = [s + style + torch.tensor([0.015 * i, 0.0, 0.0]) for i, s in enumerate(sources)]
    offset = colour_offset(crept[0], sources[0])
    held = [anchored_colours(c, s, offset) for c, s in zip(crept, sources)]
    assert torch.allclose(torch.cat(held), torch.cat(sources) + style, atol=1e-6)
    for clips, least, most in ((crept, 0.2, 0.4), (held, -1e-3, 1e-3)):
        drift = Drift()
        drift.update(torch.cat(clips), torch.cat(sources))
        assert least < drift.compute()["drift_chroma"].value < most


def test_the_first_chunk_is_the_anchor_and_values_stay_in_range():
    frames, source = torch.rand(2, 3, 4, 5, 3, generator=torch.Generator().manual_seed(1)).unbind()
    assert torch.allclose(anchored_colours(frames, source, colour_offset(frames, source)), frames, atol=1e-6)
    moved = anchored_colours(frames, source, torch.tensor([0.9, -0.9, 0.0]))
    assert float(moved.min()) == 0.0 and float(moved.max()) == 1.0
