"""Edge, line, pose, normal and depth pictures of the optional package controlnet-aux, steady over the clip.

Weights lie in a local folder, under the names that their publishers gave them; nothing is downloaded. They are pickles,
which PyTorch reads without running code in them (its `weights_only` reading, the default since 2.6, which is needed).
The depth networks are asked for their own float answer and put on one scale for the whole clip; controlnet-aux itself
stretches every frame to 8 bits, which flickers.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..devices import chosen_device
from ..errors import UserError

_SHARE = 0.005  # of the pixels that lie beyond each end of a depth scale, as for the depth control
_SAMPLES = 4096  # pixels of a frame that the scale is made of
_LEAST = 64  # controlnet-aux works in sides of whole multiples of this


@dataclass(frozen=True)
class Detector:
    """A detector: its class in controlnet_aux, the weight files it needs, and further arguments of its call."""

    name: str
    files: tuple[str, ...] = ()
    options: dict = field(default_factory=dict)
    depth: bool = False


DETECTORS = {
    "hed": Detector("HEDdetector", ("ControlNetHED.pth",)),
    "hed_scribble": Detector("HEDdetector", ("ControlNetHED.pth",), {"scribble": True}),
    "pidi": Detector("PidiNetDetector", ("table5_pidinet.pth",)),
    "pidi_safe": Detector("PidiNetDetector", ("table5_pidinet.pth",), {"safe": True}),
    "lineart": Detector("LineartDetector", ("sk_model.pth", "sk_model2.pth")),
    "lineart_coarse": Detector("LineartDetector", ("sk_model.pth", "sk_model2.pth"), {"coarse": True}),
    "lineart_anime": Detector("LineartAnimeDetector", ("netG.pth",)),
    "lineart_standard": Detector("LineartStandardDetector"),
    "mlsd": Detector("MLSDdetector", ("mlsd_large_512_fp32.pth",)),
    "teed": Detector("TEEDdetector", ("5_model.pth",)),
    "anyline": Detector("AnylineDetector", ("MTEED.pth",)),
    "normal_bae": Detector("NormalBaeDetector", ("scannet.pt",)),
    "openpose": Detector("OpenposeDetector", ("body_pose_model.pth", "hand_pose_model.pth", "facenet.pth")),
    "midas": Detector("MidasDetector", ("dpt_hybrid-midas-501f0c75.pt",), depth=True),
    "zoe": Detector("ZoeDetector", ("ZoeD_M12_N.pt",), depth=True),
    "leres": Detector("LeresDetector", ("res101.pth",), depth=True),
}
_NAMED_FILE = ("teed", "anyline")  # whose from_pretrained wants the file's name


def detector_folder(name: str, roots: Iterable[str | Path]) -> Path | None:
    """The folder with all weight files of a detector: a root, or a folder below one; None for one without weights.

    UserError for an unknown detector, and where a file is in none of them.
    """
    files = _known(name).files
    if not files:
        return None
    roots = [Path(root) for root in roots]
    for root in roots:
        for folder in (root, *sorted(path for path in root.glob("**/") if path != root)):
            if all((folder / file).is_file() for file in files):
                return folder
    places = " or ".join(str(root) for root in roots)
    raise UserError(f"The detector {name} needs {' and '.join(files)}: put the weights into {places}.")


def _known(name: str) -> Detector:
    if name not in DETECTORS:
        raise UserError(f"The detector {name!r} is unknown: choose one of {', '.join(DETECTORS)}.")
    return DETECTORS[name]


def load_detector(
    name: str, folder: str | Path | None, device: str | torch.device | None = None
) -> Callable[[Tensor], Tensor]:
    """Callable frames (T, H, W, 3) in [0, 1] -> their picture, float32 of the same size.

    Pictures (T, H, W, 3) in [0, 1]; of a depth detector (see DETECTORS) plain scores (T, H, W), larger is nearer, for
    `clip_scale` to map. The second argument of the callable is the length of the short side to work at, 0 for the
    clip's own. device: where it runs, None is the best there is. UserError where controlnet-aux is missing or the
    weights cannot be read.
    """
    spec, device = _known(name), chosen_device(device)
    kind = _import(spec.name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = _build(name, spec, kind, folder, device)
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"The weights of {name} in {folder} could not be read ({line}): get them again.") from error

    def detect(frames: Tensor, side: int = 0) -> Tensor:
        side = max(_LEAST, side or min(frames.shape[1:3]))
        codes = (frames.float().clamp(0, 1) * 255).round().byte().cpu().numpy()
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            maps = [network(picture, side) for picture in codes]
        return _sized(torch.stack(maps), tuple(frames.shape[1:3]))

    return detect


def _import(name: str):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import controlnet_aux
    except ImportError as error:
        raise UserError(
            f"The package controlnet-aux is missing or incomplete ({error}): install requirements-aux.txt, in the same "
            "command as your own torch version."
        ) from error
    except (RuntimeError, AttributeError) as error:  # a torchvision that does not fit torch
        line = str(error).strip().splitlines()[0]
        raise UserError(f"controlnet-aux cannot be used ({line}): install a torchvision that fits torch.") from error
    return getattr(controlnet_aux, name)


def _build(name: str, spec: Detector, kind, folder, device: torch.device) -> Callable[[np.ndarray, int], Tensor]:
    """Callable (picture (H, W, 3) uint8, short side) -> (h, w, 3) in [0, 1], or scores (h, w) of a depth detector."""
    if name == "leres":
        return _leres(Path(folder), device)
    if not spec.files:
        detector = kind()
    else:
        detector = kind.from_pretrained(str(folder), **({"filename": spec.files[0]} if name in _NAMED_FILE else {}))
        detector = detector.to(device) or detector
    if name == "midas":
        model = detector.model
        return lambda picture, side: model(_planes(picture, side, device) * 2 - 1)[0].float().cpu()
    if name == "zoe":
        model = detector.model
        return lambda picture, side: 1 / model.infer(_planes(picture, side, device))[0, 0].float().cpu().clamp(min=1e-3)
    known = inspect.signature(kind.__call__).parameters
    wanted = [option for option in ("detect_resolution", "image_resolution") if option in known]

    def detect(picture: np.ndarray, side: int) -> Tensor:
        image = detector(picture, **{option: side for option in wanted}, output_type="np", **spec.options)
        return torch.from_numpy(np.asarray(image)).float() / 255

    return detect


def _leres(folder: Path, device: torch.device) -> Callable[[np.ndarray, int], Tensor]:
    """LeReS without its detector, which reads the program's command line and loads a second network."""
    from controlnet_aux.leres import RelDepthModel, estimateleres, strip_prefix_if_present

    model = RelDepthModel(backbone="resnext101")
    weights = torch.load(folder / "res101.pth", map_location="cpu", weights_only=True)["depth_model"]
    model.load_state_dict(strip_prefix_if_present(weights, "module."), strict=True)
    model.to(device).eval()

    def score(picture: np.ndarray, side: int) -> Tensor:
        height, width = _size(picture, side)
        # It predicts depth up to scale and offset: its negative is larger for what is nearer.
        return -torch.from_numpy(np.asarray(estimateleres(picture, model, width, height), dtype=np.float32))

    return score


def _size(picture: np.ndarray, side: int) -> tuple[int, int]:
    """The picture's size with its short side near `side` and both whole multiples of 64, as controlnet-aux has it."""
    sides = picture.shape[:2]
    return tuple(max(1, round(value * side / min(sides) / _LEAST)) * _LEAST for value in sides)


def _planes(picture: np.ndarray, side: int, device: torch.device) -> Tensor:
    """(1, 3, h, w) in [0, 1] at that size."""
    planes = torch.from_numpy(picture).to(device).movedim(-1, 0)[None].float() / 255
    return F.interpolate(planes, size=_size(picture, side), mode="bicubic", antialias=True).clamp(0, 1)


def _sized(values: Tensor, size: tuple[int, int]) -> Tensor:
    planes = values[:, None] if values.dim() == 3 else values.movedim(-1, 1)
    if tuple(planes.shape[-2:]) != size:
        planes = F.interpolate(planes, size=size, mode="bilinear", antialias=True)
    return planes[:, 0] if values.dim() == 3 else planes.movedim(1, -1)


def clip_scale(scores: Iterable[Tensor]) -> tuple[float, float]:
    """(low, high) of a whole clip's scores, chunks (T, H, W): the values that all but half a percent lie between.

    From every frame the same number of pixels counts, evenly spread over it.
    """
    samples = [frame.flatten()[:: max(1, frame.numel() // _SAMPLES)] for chunk in scores for frame in chunk]
    values = torch.cat(samples).float()
    values = values[:: max(1, values.numel() // 2**23)]  # as many as torch.quantile takes
    low, high = (float(torch.quantile(values, q)) for q in (_SHARE, 1 - _SHARE))
    return low, high


def scaled(scores: Iterable[Tensor], limits: tuple[float, float]) -> Iterator[Tensor]:
    """Chunks of scores as maps in [0, 1] on the clip's scale, near = 1; a clip of one value becomes 0."""
    low, high = limits
    for chunk in scores:
        yield ((chunk.float() - low) / (high - low)).clamp(0, 1) if high > low else torch.zeros_like(chunk)
