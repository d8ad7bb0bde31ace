"""Detail delivery against closed forms and kornia's guided filter."""

import pytest
import torch

from pipeline_core.video import detail
from pipeline_core.video.detail import fit_colour_map, with_detail
from pipeline_core.video.frames import resize

SMALL, FULL = (24, 40), (96, 160)


def smooth(seed, size):
    """A frame (h, w, 3) with something to see in every window."""
    noise = torch.rand(1, 3, size[0] // 4, size[1] // 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(noise, size=size, mode="bicubic").clamp(0, 1)[0].movedim(0, -1).contiguous()


def relit(frame):
    """Another light over a scene: one affine map of its colours."""
    matrix = torch.tensor([[0.5, 0.1, 0.0], [0.0, 0.4, 0.1], [0.1, 0.0, 0.6]])
    return frame @ matrix.T + torch.tensor([0.1, 0.15, 0.05])


def test_a_relit_small_frame_relights_the_full_frame():
    full = smooth(1, FULL)
    small = resize(full[None], SMALL)[0]
    delivered = with_detail(full, small, relit(small), 1.0)
    plain = with_detail(full, small, relit(small), 0.0)
    assert float((delivered - relit(full)).abs().mean()) < 0.1 * float((plain - relit(full)).abs().mean())


@pytest.mark.parametrize("radius", [1, 3])
def test_at_equal_size_it_is_kornias_guided_filter_of_the_change(radius, monkeypatch):
    filters = pytest.importorskip("kornia.filters")
    source, result = smooth(1, SMALL), smooth(2, SMALL)
    guide, change = (frame.movedim(-1, 0)[None] for frame in (source, result - source))
    theirs = (guide + filters.guided_blur(guide, change, 2 * radius + 1, 1e-3))[0].movedim(0, -1).clamp(0, 1)
    monkeypatch.setattr(detail, "RADIUS", radius)
    monkeypatch.setattr(detail, "TRUST", 1e6)
    monkeypatch.setattr(detail.fit_colour_map, "__defaults__", (radius, 1e-3))
    ours = with_detail(source, source, result, 1.0)
    inside = slice(2 * radius + 1, -2 * radius - 1)  # kornia mirrors the border, here only what is there counts
    assert float((ours - theirs)[inside, inside].abs().max()) < 1e-5


def test_no_detail_is_the_enlargement_and_equal_sizes_are_the_result_itself():
    full, result = smooth(3, FULL), smooth(4, SMALL)
    small = resize(full[None], SMALL)[0]
    torch.testing.assert_close(with_detail(full, small, result, 0.0), resize(result[None], FULL)[0], rtol=0, atol=1e-6)
    torch.testing.assert_close(with_detail(small, small, result, 0.0), result, rtol=0, atol=0)


def test_where_the_model_drew_something_else_its_own_pixels_stay():
    """Left half: the source relit. Right half: a picture that has nothing to do with the source."""
    full = smooth(5, FULL)
    small = resize(full[None], SMALL)[0]
    result = relit(small)
    result[:, 20:] = torch.rand(24, 20, 3, generator=torch.Generator().manual_seed(6)).round()
    trust = fit_colour_map(small, result).trust[0]
    assert float(trust[:, :12].min()) > 0.9 and float(trust[:, 28:].max()) < 0.05
    plain, ours = (with_detail(full, small, result, share) for share in (0.0, 1.0))
    assert float((ours - plain)[:, 112:].abs().max()) < 0.05 < float((ours - plain)[:, :48].abs().max())


def test_bytes_are_the_same_as_floats_strips_as_one_piece_and_nothing_is_changed_in_place(monkeypatch):
    full = (smooth(7, FULL) * 255).round().byte()
    small = resize(full[None].float() / 255, SMALL)[0]
    result = relit(small)
    kept = full.clone(), small.clone(), result.clone()
    whole = with_detail(full, small, result, 1.0)
    torch.testing.assert_close(with_detail(full.float() / 255, small, result, 1.0), whole, rtol=0, atol=1e-6)
    monkeypatch.setattr(detail, "_STRIP", 7 * FULL[1])
    torch.testing.assert_close(with_detail(full, small, result, 1.0), whole, rtol=0, atol=1e-6)
    assert all(torch.equal(now, before) for now, before in zip((full, small, result), kept))


def test_texture_that_the_small_frame_cannot_show_stays_where_the_light_changes():
    """A chequerboard of single pixels averages to grey when it is made small: nothing there to fit a map from."""
    y, x = torch.meshgrid(*(torch.arange(side) for side in FULL), indexing="ij")
    board = 0.02 * (2.0 * ((x + y) % 2) - 1)[..., None]
    light = torch.linspace(0.3, 0.5, FULL[1])[None, :, None].expand(*FULL, 3)
    small = resize(light[None], SMALL)[0]
    delivered = with_detail(light + board, small, small - 0.2, 1.0)
    torch.testing.assert_close(delivered, light - 0.2 + board, rtol=0, atol=2e-3)


def test_flat_frames_are_mapped_and_not_divided_by_nothing():
    grey = torch.full((*SMALL, 3), 0.5)
    delivered = with_detail(torch.full((*FULL, 3), 0.5), grey, torch.full((*SMALL, 3), 0.25), 1.0)
    torch.testing.assert_close(delivered, torch.full((*FULL, 3), 0.25), rtol=0, atol=1e-5)
