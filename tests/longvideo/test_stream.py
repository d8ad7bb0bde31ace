"""The stream over windows with models that have a formula: every count in is the count out, little is held."""

import pytest
import torch

from pipeline_core.longvideo import Finished, enhance_stream, plan_windows
from pipeline_core.longvideo.handover import hand_over


def latent_of(clip):
    """One latent frame for frame 0 and one for every four after it: the last frame of each, as a plane."""
    return clip[::4].movedim(-1, 0)[None]


def test_every_count_in_is_the_count_out_and_the_frames_are_in_order():
    for count in range(1, 261):
        windows = plan_windows(count, 17, 5, 4)
        frames = (torch.full((1, 1, 3), float(i)) for i in range(count))
        held = {}

        def enhance_window(index, clip, before):
            assert len(clip) == windows[index].length and (before is None) == (index == 0)
            held["clip"] = clip
            return Finished(latent_of(clip), latent_of(clip), {})

        out = [float(f[0, 0, 0]) for f in enhance_stream(frames, windows, enhance_window, lambda _: held["clip"])]
        assert out == pytest.approx(list(range(count)), abs=1e-4), count


def test_no_more_than_two_windows_of_the_source_are_asked_for_before_the_first_frame_is_out():
    asked = []
    frames = (asked.append(i) or torch.zeros(1, 1, 3) for i in range(1000))
    windows = plan_windows(1000, 17, 5, 4)
    stream = enhance_stream(frames, windows, lambda i, clip, b: Finished(clip, clip, {}), lambda done: done.latent)
    for out, _ in enumerate(stream):
        assert len(asked) <= min(1000, out + 2 * 17)
    assert len(asked) == 1000


@pytest.mark.parametrize("overlap, shared", [(5, 1), (9, 2), (4, 1), (0, 0)])
def test_what_is_handed_over_stands_for_the_same_frames_in_both_windows(overlap, shared):
    clip = torch.arange(57.0).reshape(-1, 1, 1, 1).expand(-1, 2, 2, 3)
    windows = plan_windows(57, 17, overlap, 4)
    for earlier, later in zip(windows, windows[1:]):
        before, after = (latent_of(clip[w.start : w.stop]) for w in (earlier, later))
        given = hand_over(before, 2 * before, earlier, later, 4)
        if shared == 0:
            assert given is None or given.z_ref.shape[2] > 0
            continue
        assert given.z_ref.shape[2] >= shared and given.at == 1, "the first frame is the lead-in"
        assert torch.equal(given.z_ref, after[:, :, given.shared]) and torch.equal(given.noise, 2 * given.z_ref)
