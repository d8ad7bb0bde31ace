"""Oracles: KID by explicit loops, scipy's matrix root, Gaussians of known means, one distribution drawn twice."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.linalg import sqrtm

from pipeline_core.errors import UserError
from pipeline_core.metrics import distribution
from pipeline_core.metrics.distribution import RealDistance, cmmd, kernel_distance, real_frames
from pipeline_core.video.media import write_clip


def encode(frames):
    return torch.cat([frames.mean((1, 2)), frames.amax((1, 2))], 1)


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_kid_by_loops():
    x, y = noise(7, 5).double(), noise(9, 5, seed=1).double() + 0.3

    def k(a, b):
        return (float(a @ b) / 5 + 1) ** 3

    own = np.mean([k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    theirs = np.mean([k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    cross = np.mean([k(a, b) for a in x for b in y])
    assert kernel_distance(x, y) == pytest.approx(own + theirs - 2 * cross, rel=1e-9)


def test_cmmd_by_loops():
    x, y = noise(6, 4).double() - 0.2, noise(8, 4, seed=1).double()
    u, v = (v / v.norm(dim=1, keepdim=True) for v in (x, y))

    def k(a, b):
        return np.exp(-float((a - b).square().sum()) / (2 * 10**2))

    own, theirs, cross = (np.mean([k(a, b) for a in p for b in q]) for p, q in ((u, u), (v, v), (u, v)))
    assert cmmd(x, y) == pytest.approx(1000 * (own + theirs - 2 * cross), rel=1e-9)
    assert cmmd(3 * x, x) == pytest.approx(0, abs=1e-9) and cmmd(x, y) > 0.01


def test_kid_is_zero_in_the_mean_for_one_distribution():
    values = [kernel_distance(noise(20, 4, seed=s), noise(20, 4, seed=100 + s)) for s in range(60)]
    error = np.std(values) / 60**0.5
    assert abs(np.mean(values)) < 3 * error and min(values) < 0 < max(values)
    assert kernel_distance(noise(20, 4), noise(20, 4, seed=1) + 0.5) > 10 * np.std(values)


def test_both_distances_of_frames_in_chunks():
    output, real = noise(30, 5, 6, 3), 0.5 * noise(26, 7, 4, 3, seed=1) + 0.3
    metric = RealDistance(encode)
    for part in output.split(7):
        metric.update(part)
    for part in real.split(9):
        metric.update_real(part)
    a, b = encode(output).double().numpy(), encode(real).double().numpy()
    ca, cb = np.cov(a.T), np.cov(b.T)
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca + cb - 2 * sqrtm(ca @ cb).real)
    figures = metric.compute()
    assert figures["real_frechet"].value == pytest.approx(expected, rel=1e-4)
    assert figures["real_kid"].value == pytest.approx(kernel_distance(torch.tensor(a), torch.tensor(b)), rel=1e-4)
    assert figures["real_cmmd"].value == pytest.approx(cmmd(torch.tensor(a), torch.tensor(b)), rel=1e-4)
    assert "30 and 26 frames" in figures["real_kid"].note


def test_only_so_many_are_kept_and_all_have_the_same_chance(monkeypatch):
    monkeypatch.setattr(distribution, "_KEPT", 20)
    metric = RealDistance(lambda frames: frames.mean((1, 2)))
    ramp = torch.linspace(0, 1, 2000).view(-1, 1, 1, 1).expand(2000, 1, 1, 3)
    for part in ramp.split(300):
        metric.update(part)
    kept = torch.stack(metric._kept[0])[:, 0]
    assert len(kept) == 20 and 0.25 < kept.mean() < 0.75 and kept.min() < 0.25 and kept.max() > 0.75


def test_undefined_says_why():
    metric = RealDistance(encode)
    metric.update(noise(3, 4, 4, 3))
    assert all(f.value is None and "no real" in f.note for f in metric.compute().values())
    metric.update_real(noise(1, 4, 4, 3))
    assert all(f.value is None and "two frames" in f.note for f in metric.compute().values())


def test_folders_of_pictures_and_clips(tmp_path):
    for i, size in enumerate([(6, 8), (6, 8), (5, 4)]):
        picture = (noise(*size, 3, seed=i) * 255).byte()
        Image.fromarray(picture.numpy()).save(tmp_path / f"{i}.png")
    write_clip(tmp_path / "z.mp4", noise(3, 16, 16, 3), 10)
    chunks = list(real_frames(tmp_path, 2))
    assert [tuple(c.shape) for c in chunks] == [(2, 6, 8, 3), (1, 5, 4, 3), (2, 16, 16, 3), (1, 16, 16, 3)]
    assert (chunks[0][1] * 255).round().byte().equal((noise(6, 8, 3, seed=1) * 255).byte())
    assert sum(len(c) for c in real_frames(tmp_path / "z.mp4")) == 3
    (tmp_path / "bad.png").write_bytes(b"none")
    with pytest.raises(UserError, match="bad.png"):
        list(real_frames(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="real frames"):
        list(real_frames(tmp_path / "empty"))
