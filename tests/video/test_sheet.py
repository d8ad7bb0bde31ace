"""Side-by-side clips hold the clips themselves, bit for bit, and labels that can be told apart."""

import torch

from pipeline_core.video.sheet import GAP, LABEL_HEIGHT, contact_sheet, labelled_side_by_side, to_frames


def clips(count, height, width, frames=7):
    generator = torch.Generator().manual_seed(count)
    return [torch.rand(frames, height, width, 3, generator=generator) for _ in range(count)]


def test_every_clip_stands_unchanged_in_its_place():
    for height, width in ((20, 30), (21, 31)):
        one, two, three = given = clips(3, height, width)
        joined = labelled_side_by_side({"a": one, "b": two, "c": three})
        assert joined.shape[0] == 7 and joined.shape[1] % 2 == joined.shape[2] % 2 == 0
        for i, clip in enumerate(given):
            left = i * (width + GAP)
            assert torch.equal(joined[:, LABEL_HEIGHT : LABEL_HEIGHT + height, left : left + width], clip)


def test_labels_show_and_differ():
    (clip,) = clips(1, 20, 60)
    strips = {
        text: labelled_side_by_side({text: clip})[0, :LABEL_HEIGHT] for text in ("", "source", "result", "\u7d50\u679c")
    }
    assert float(strips[""].std()) < 1e-6 and float(strips["source"].std()) > 0.05
    assert not torch.equal(strips["source"], strips["result"])


def test_a_contact_sheet_shrinks_large_frames():
    one, two = clips(2, 40, 80)
    half, double = (contact_sheet({"a": one, "b": two}, columns=4, scale=scale) for scale in (0.5, 2))
    assert half.size == (4 * (40 + GAP) + GAP, 2 * (20 + GAP + LABEL_HEIGHT) + GAP)
    assert double.size == (4 * (160 + GAP) + GAP, 2 * (80 + GAP + LABEL_HEIGHT) + GAP)
    assert to_frames(half).shape == (1, half.height, half.width, 3)
