"""Flow-aligned blending against a moved picture whose half-way place is known."""

import pytest
import torch

from pipeline_core.errors import UserError
from pipeline_core.longvideo import blend_windows, plan_windows
from pipeline_core.longvideo.stitch import crossfade, flow_aligned, window_clips


def picture(shift):
    """A smooth bright spot, `shift` pixels to the right of the middle."""
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(40.0), indexing="ij")
    return torch.exp(-((x - 20 - shift) ** 2 + (y - 12) ** 2) / 8)[..., None].expand(-1, -1, 3)


def known_flow(pair):
    """Everything moves by the way between the two spots' middles."""
    x = torch.arange(40.0)[None, :, None]
    middles = [(frame * x).sum() / frame.sum() for frame in pair]
    shift = torch.stack([middles[1] - middles[0], torch.tensor(0.0)])
    return torch.stack([shift.expand(24, 40, 2), torch.zeros(24, 40, 2)])


def test_an_edge_in_two_places_comes_out_between_them_and_not_twice():
    """A crossfade of two spots six pixels apart is two spots; aligned, it is one, where the weight says."""
    weight = torch.tensor([0.25, 0.5, 0.75])
    earlier, later = (picture(shift).expand(3, -1, -1, -1) for shift in (-3.0, 3.0))
    mixed = flow_aligned(known_flow)(earlier, later, weight)
    for frame, w in zip(mixed, weight.tolist()):
        assert torch.allclose(frame, picture(-3 + 6 * w), atol=0.03)
    assert float(crossfade(earlier, later, weight)[1].max()) < 0.6 < 0.95 < float(mixed[1].max())


def test_windows_that_agree_are_left_as_they_are_and_flow_is_asked_for_overlaps_only():
    clip = torch.rand(29, 24, 40, 3, generator=torch.Generator().manual_seed(0))
    windows, asked = plan_windows(29, 17, 5, 4), []

    def still(pair):
        asked.append(pair)
        return torch.zeros(2, 24, 40, 2)

    joined = torch.stack(list(blend_windows([clip[w.start : w.stop] for w in windows], windows, flow_aligned(still))))
    assert torch.allclose(joined, clip, atol=1e-5) and len(asked) == 2 * 5


def test_a_stream_shorter_than_planned_is_filled_up_and_said_once():
    """Files state more frames than they show: 25 planned in windows 0-16 and 8-24, and 20 or 14 come."""
    windows, clip = plan_windows(25, 17, 5, 4), torch.arange(25.0).reshape(-1, 1, 1, 1).expand(-1, 2, 2, 3)
    for count in (25, 20, 14):
        said = []
        pieces = list(window_clips(iter(clip[:count]), windows, said.append))
        assert [len(piece) for piece in pieces] == [17, 17]
        joined = torch.stack(list(blend_windows(pieces, windows)))
        assert torch.equal(joined[:, 0, 0, 0], torch.arange(25.0).clamp(max=count - 1))
        sentence = f"The clip ended after {count} of 25 planned frames: the last one was repeated for the rest."
        assert said == ([] if count == 25 else [sentence])
    with pytest.warns(UserWarning, match="20 of 25"):
        list(window_clips(iter(clip[:20]), windows))
    for count in (0, 8):  # the second window starts at frame 8: nothing is computed in vain
        with pytest.raises(UserError, match=f"ended after {count} frames and 25 were planned"):
            next(window_clips(iter(clip[:count]), windows))
