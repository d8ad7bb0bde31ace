"""The window plan against brute-force invariants, and joining against the clip it was cut from."""

import pytest
import torch

from pipeline_core.errors import UserError
from pipeline_core.longvideo import blend_windows, plan_windows
from pipeline_core.longvideo.plan import (
    compute_factor,
    latent_frames,
    legal_length,
    plan_text,
    read_plan,
    shared_latent_frames,
)
from pipeline_core.longvideo.stitch import window_clips


@pytest.mark.parametrize(
    "window, overlap, ratio", [(17, 5, 4), (17, 0, 4), (17, 13, 4), (9, 1, 8), (1, 0, 1), (16, 3, 1)]
)
def test_plans_tile_the_clip_with_legal_windows(window, overlap, ratio):
    for frames in range(1, 120):
        windows = plan_windows(frames, window, overlap, ratio)
        assert [f for w in windows for f in w.keep] == list(range(frames))
        for w in windows:
            assert (w.length - 1) % ratio == 0 and w.length <= window
            assert w.start <= w.keep.start and w.keep.stop <= w.stop
            assert w.start < frames
        for left, right in zip(windows, windows[1:], strict=False):
            assert left.stop - right.start >= overlap
            assert right.stop <= legal_length(frames, ratio), "padded to a legal length, no further"
            assert right.start % ratio == 0 and left.start < right.start
            shared = shared_latent_frames(left, right, ratio)
            seen = [list(latent_frames(w, ratio))[s] for w, s in zip((left, right), shared)]
            assert seen[0] == seen[1] and len(seen[0]) == max(0, (left.stop - right.start) // ratio)


def test_a_clip_shorter_than_the_window_takes_the_smallest_legal_length():
    assert [plan_windows(n, 17, 5, 4)[0].stop for n in (1, 2, 5, 6, 16, 17)] == [1, 5, 5, 9, 17, 17]
    assert legal_length(1, 8) == 1 and legal_length(2, 8) == 9
    assert compute_factor(plan_windows(17, 17, 5, 4), 17) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (0, 17, 5, 4),
        (10, 16, 5, 4),
        (10, 17, 14, 4),
        (10, 17, 17, 4),
        (10, 17, 20, 4),
        (10, 1, 0, 4),
        (10, 17, -1, 4),
        (10, 0, 0, 1),
    ],
)
def test_impossible_plans_are_refused_in_one_sentence(arguments):
    with pytest.raises(UserError, match="change"):
        plan_windows(*arguments)


def test_a_last_chunk_of_one_frame_is_a_whole_window_moved_back():
    """18 frames are one more than the window: the second window is as long as the first, most of it overlap."""
    windows = plan_windows(18, 17, 0, 4)
    assert [(w.start, w.stop) for w in windows] == [(0, 17), (4, 21)] and windows[1].keep.stop == 18
    assert [(w.start, w.stop) for w in plan_windows(18, 17, 0, 1)] == [(0, 17), (1, 18)]
    assert [len(w.keep) for w in plan_windows(2, 1, 0, 1)] == [1, 1], "a window of one frame has chunks of one"


@pytest.mark.parametrize("frames", [1, 17, 40, 49])
def test_a_plan_survives_being_written_as_text(frames):
    assert read_plan(plan_text(frames, 17, 5, 4)) == plan_windows(frames, 17, 5, 4)


ILLEGAL = plan_text(9, 17, 5, 4).replace("17", "16")


@pytest.mark.parametrize("text", ["", "a plan", "3", "[]", "{}", '{"frames": 9}', ILLEGAL])
def test_any_other_text_is_no_plan(text):
    with pytest.raises(UserError, match="connect its plan output"):
        read_plan(text)


@pytest.mark.parametrize("frames", [1, 3, 17, 18, 30, 49, 61])
def test_cutting_and_blending_unchanged_windows_gives_the_clip_back(frames):
    clip = torch.rand(frames, 4, 6, 3, generator=torch.Generator().manual_seed(frames), dtype=torch.float64)
    windows = plan_windows(frames, 17, 5, 4)
    pieces = list(window_clips(iter(clip), windows))
    assert [len(p) for p in pieces] == [w.length for w in windows]
    joined = torch.stack(list(blend_windows(pieces, windows)))
    assert joined.shape == clip.shape
    assert torch.allclose(joined, clip, atol=1e-12)


def test_the_crossfade_is_linear_across_the_overlap():
    windows = plan_windows(29, 17, 5, 4)
    clips = [torch.full((17, 1, 1, 3), float(i), dtype=torch.float64) for i in range(len(windows))]
    joined = torch.stack(list(blend_windows(clips, windows)))[:, 0, 0, 0]
    assert len(windows) == 2 and windows[1].start == 12
    expected = torch.cat([torch.zeros(12), torch.arange(1, 6) / 6, torch.ones(12)]).double()
    assert torch.allclose(joined, expected)


def test_three_windows_never_hold_more_than_one_window_of_source_frames():
    alive = []

    def stream():
        for index in range(49):
            alive.append(index)
            yield torch.full((2, 2, 3), float(index))

    windows = plan_windows(49, 17, 5, 4)
    for window, piece in zip(windows, window_clips(stream(), windows), strict=True):
        assert piece[:, 0, 0, 0].tolist() == list(range(window.start, window.stop))
        assert max(alive) < window.stop, "frames beyond the window were read before they were needed"
