"""Flow from pixels against the world's own, which is exact; RAFT, for want of weights, against its own arithmetic."""

import pytest
import torch

from pipeline_core.conditions.flow import buffer_flow
from pipeline_core.errors import UserError
from pipeline_core.perception.flow import estimated_flow, load_raft
from pipeline_core.world import RenderedBuffers, drive_scene, render


def end_point_error(flow, truth):
    known = ~truth.isnan().any(-1)
    return float((flow - truth).norm(dim=-1)[known].mean())


@pytest.fixture(scope="module")
def drive():
    return render(drive_scene(800_002, 3, 24.0), 3, (96, 160))


def test_the_end_point_error_on_a_drive_is_well_below_standing_still(drive):
    """Measured on the drives 800000, 2, 4 and 6, two steps each: 0.56 pixels, 0.63 for OpenCV's DIS, 0.86 for no
    motion; on this one 0.42, 0.48 and 0.74."""
    flow = estimated_flow(drive.rgb)
    assert flow.shape == (3, 96, 160, 2) and flow.dtype == torch.float32 and not bool(flow[-1].any())
    still = end_point_error(torch.zeros(2, 96, 160, 2), drive.flow[:2])
    assert end_point_error(flow[:2], drive.flow[:2]) < min(0.5, 0.65 * still)


@pytest.mark.parametrize("size", [(64, 96), (240, 480)])  # the second is shrunk first
def test_a_shift_is_found_in_the_frames_own_pixels_and_order(size):
    height, width = size
    noise = torch.rand(1, 3, height // 8, width // 8 + 2, generator=torch.Generator().manual_seed(0))
    wide = torch.nn.functional.interpolate(noise, size=(height, width + 16), mode="bicubic").clamp(0, 1)
    frames = torch.stack([wide[0, :, :, 6 - 2 * t : 6 - 2 * t + width].movedim(0, -1) for t in range(3)])
    flow = estimated_flow(frames)[0, 8:-8, 8:-8]
    assert torch.allclose(flow.mean((0, 1)), torch.tensor([2.0, 0.0]), atol=0.15)


def test_nothing_moves_beyond_the_end_of_the_buffers(drive):
    flow = buffer_flow(RenderedBuffers(drive), 1, 5)
    assert torch.equal(flow[0].nan_to_num(9), drive.flow[1].nan_to_num(9)) and flow.shape == (5, 96, 160, 2)
    assert not bool(flow[1:].any()), "the last frame's own flow leads out of the clip"


def test_without_the_package_it_says_what_to_install(monkeypatch, drive):
    monkeypatch.setattr("pipeline_core.perception.flow.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install scikit-image"):
        estimated_flow(drive.rgb)
    with pytest.raises(UserError, match="torchvision"):
        load_raft("raft.safetensors")


def test_raft_gives_pixels_of_the_frames_and_refuses_other_weights(tmp_path, drive):
    optical_flow = pytest.importorskip("torchvision.models.optical_flow")
    from safetensors.torch import save_file

    torch.manual_seed(0)
    for make in (optical_flow.raft_small, optical_flow.raft_large):
        model = make(weights=None).eval()
        save_file(model.state_dict(), tmp_path / "raft.safetensors")
        flow = load_raft(tmp_path / "raft.safetensors")(drive.rgb[:2])
        planes = torch.nn.functional.interpolate(
            drive.rgb[:2].movedim(-1, 1), size=(128, 160), mode="bilinear", antialias=True
        )
        with torch.no_grad():
            wide = model(2 * planes[:1] - 1, 2 * planes[1:] - 1)[-1]
        expected = torch.nn.functional.interpolate(wide, size=(96, 160), mode="bilinear")[0].movedim(0, -1)
        assert torch.allclose(flow[0], expected * torch.tensor([1.0, 0.75]), atol=1e-4)
        assert flow.shape == (2, 96, 160, 2) and not bool(flow[1].any())
    save_file({"w": torch.zeros(1)}, tmp_path / "other.safetensors")
    for name in ("other.safetensors", "raft.pth"):
        with pytest.raises(UserError, match="RAFT"):
            load_raft(tmp_path / name)
