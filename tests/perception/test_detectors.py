"""A stand-in for controlnet_aux with known answers; where the package itself is installed, its real networks too."""

import sys
import types

import numpy as np
import pytest
import torch

from pipeline_core.errors import UserError
from pipeline_core.perception.detectors import DETECTORS, clip_scale, detector_folder, load_detector, scaled


@pytest.fixture
def package(monkeypatch):
    """controlnet_aux with two of its classes: one says what it was called with, one predicts depth."""
    module, calls = types.ModuleType("controlnet_aux"), []

    class HEDdetector:
        @classmethod
        def from_pretrained(cls, folder):
            calls.append(folder)
            return cls()

        def to(self, device):
            return self

        def __call__(self, image, detect_resolution=512, image_resolution=512, output_type="pil", scribble=False):
            calls.append((image.shape, detect_resolution, image_resolution, output_type, scribble))
            high, wide = (round(v * detect_resolution / min(image.shape[:2]) / 64) * 64 for v in image.shape[:2])
            return np.full((high, wide, 3), image[0, 0, 0], np.uint8)

    class MidasDetector(HEDdetector):
        def __init__(self):
            self.model = lambda planes: 10 + 5 * planes.mean(1)  # disparity of a brightness from -1 to 1

    module.HEDdetector, module.MidasDetector, module.calls = HEDdetector, MidasDetector, calls
    monkeypatch.setitem(sys.modules, "controlnet_aux", module)
    return module


def weights(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


def test_weights_are_found_below_the_roots_and_all_of_them(tmp_path):
    deep = weights(tmp_path / "b" / "Annotators", "sk_model.pth", "sk_model2.pth", "ControlNetHED.pth")
    weights(tmp_path / "a", "sk_model.pth")
    roots = [tmp_path / "none", tmp_path / "a", tmp_path / "b"]
    assert detector_folder("lineart", roots) == detector_folder("hed", roots) == deep
    assert detector_folder("lineart_standard", []) is None
    with pytest.raises(UserError, match="mlsd needs mlsd_large_512_fp32.pth: put the weights into"):
        detector_folder("mlsd", roots)
    with pytest.raises(UserError, match="unknown"):
        detector_folder("sobel", roots)


def test_pictures_come_back_at_the_size_of_the_frames(package, tmp_path):
    frames = torch.linspace(0, 1, 3)[:, None, None, None].expand(3, 100, 160, 3)
    made = load_detector("hed_scribble", weights(tmp_path, "ControlNetHED.pth"))(frames, 128)
    assert made.shape == frames.shape and made.dtype == torch.float32
    assert torch.allclose(made, frames, atol=1 / 255)
    assert package.calls[0] == str(tmp_path) and package.calls[1] == ((100, 160, 3), 128, 128, "np", True)
    load_detector("hed", tmp_path)(frames[:1])
    assert package.calls[-1] == ((100, 160, 3), 100, 100, "np", False)


def test_depth_is_on_one_float_scale_for_the_clip(package, tmp_path):
    """A resting grey beside a brighter and brighter patch: per frame and in 8 bits, the grey would change."""
    frames = torch.full((6, 64, 64, 3), 0.25)
    frames[:, :16] = torch.linspace(0.1, 1.0, 6)[:, None, None, None]
    detect = load_detector("midas", weights(tmp_path, "dpt_hybrid-midas-501f0c75.pt"))
    scores = [detect(part) for part in frames.split(4)]
    assert torch.allclose(torch.cat(scores)[:, 40, 40], torch.full((6,), 10 + 5 * (64 / 255 * 2 - 1)), atol=1e-4)
    maps = torch.cat(list(scaled(scores, clip_scale(scores))))
    resting = maps[:, 32:]
    assert float((resting / resting[0] - 1).abs().max()) < 0.01 and 0.05 < float(resting.mean()) < 0.5
    assert float(maps.min()) == 0 and float(maps.max()) > 0.99
    assert len(torch.unique(torch.cat(list(scaled([torch.rand(1, 64, 64)], (0, 1)))))) > 1000
    assert float(next(scaled([torch.ones(1, 4, 4)], clip_scale([torch.ones(1, 4, 4)]))).sum()) == 0


def test_the_missing_package_is_one_clear_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "controlnet_aux", None)
    with pytest.raises(UserError, match="install requirements-aux.txt"):
        load_detector("lineart_standard", None)


def test_weights_that_cannot_be_read(package, tmp_path, monkeypatch):
    def broken(folder):
        raise RuntimeError("invalid magic number\nmore lines")

    monkeypatch.setattr(package.HEDdetector, "from_pretrained", broken)
    with pytest.raises(UserError, match=r"\(invalid magic number\): get them again") as caught:
        load_detector("hed", tmp_path)
    assert "\n" not in str(caught.value)


def test_the_real_package_knows_every_name_and_draws():
    """Only where controlnet-aux is installed: it brings OpenCV and torchvision, which nothing else here needs."""
    package = pytest.importorskip("controlnet_aux")
    assert all(hasattr(package, told.name) for told in DETECTORS.values())
    frames = torch.zeros(2, 96, 128, 3)
    frames[:, 30:60, 40:90] = 1.0
    made = load_detector("lineart_standard", None)(frames)
    assert made.shape == frames.shape and float(made.max()) > 0.5 and float(made[:, :10].max()) < 0.1


def test_the_real_networks_on_random_weights(tmp_path):
    pytest.importorskip("controlnet_aux")
    from controlnet_aux.hed import ControlNetHED_Apache2
    from controlnet_aux.pidi.model import pidinet

    torch.manual_seed(0)
    torch.save(ControlNetHED_Apache2().state_dict(), tmp_path / "ControlNetHED.pth")
    torch.save({"state_dict": pidinet().state_dict()}, tmp_path / "table5_pidinet.pth")
    frames = torch.rand(2, 64, 96, 3, generator=torch.Generator().manual_seed(0))
    for name in ("hed", "pidi"):
        made = load_detector(name, detector_folder(name, [tmp_path]))(frames)
        assert made.shape == frames.shape and 0 <= float(made.min()) < float(made.max()) <= 1
