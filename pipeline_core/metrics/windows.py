"""What networks that watch video say: clips cut into windows of so many frames, FVD, and a hook for quality models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..devices import chosen_device
from ..errors import UserError
from ..perception.encoders import model_type, preprocessing
from ..perception.estimators import load_network
from .base import Figure, check_frames, mean_figure
from .distribution import frechet_figure
from .realism import FeatureStatistics

WINDOW = 16  # frames that a window has unless its network wants another number
# model_type of config.json -> class to load; both answer with a token per patch of space and time.
_KINDS = {"videomae": "VideoMAEModel", "timesformer": "TimesformerModel"}
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

VideoEncode = Callable[[Tensor], Tensor]  # windows (N, T, H, W, 3) in [0, 1] -> features (N, D)


class Windows:
    """Cuts a stream of chunks into windows of `length` frames, one after the other without overlap.

    Frames are held as bytes, at most a window of them, and after `size` (height, width) where one is given.
    """

    def __init__(self, length: int = WINDOW, size: tuple[int, int] | None = None) -> None:
        self.length, self.size, self._held = length, size, []

    def push(self, frames: Tensor) -> Iterator[Tensor]:
        """frames (T, H, W, 3) in [0, 1]; yields the windows (length, h, w, 3) in [0, 1] that are full now."""
        if self.size is not None and len(frames):
            planes = F.interpolate(frames.movedim(-1, 1), self.size, mode="bicubic", antialias=True)
            frames = planes.movedim(1, -1)
        for frame in (frames.clamp(0, 1) * 255).round().byte().cpu():
            self._held.append(frame)
            if len(self._held) == self.length:
                yield torch.stack(self._held).float() / 255
                self._held = []

    def rest(self) -> int:
        """Frames at the end that filled no window."""
        return len(self._held)


class VideoDistance:
    """`fvd`: Frechet distance of a video network's features of the output's windows to those of real clips.

    Unterthiner et al. 2018, equation 1, with their I3D; with another network, such as VideoMAE, it is the same
    distance in that network's space and compares only with itself.
    """

    def __init__(self, encode: VideoEncode, length: int = WINDOW, size: tuple[int, int] | None = None) -> None:
        self._encode = encode
        self._windows = [Windows(length, size), Windows(length, size)]
        self._statistics = [FeatureStatistics(), FeatureStatistics()]
        self._frames = 0

    def update(self, output: Tensor) -> None:
        """output (T, H, W, 3) in [0, 1]."""
        self._add(0, check_frames(output, "output", self._frames))
        self._frames += len(output)

    def update_real(self, real: Iterable[Tensor]) -> None:
        """A real clip as chunks (T, H, W, 3) in [0, 1]; what fills no window at its end is not used."""
        for chunk in real:
            self._add(1, check_frames(chunk, "real frames"))
        self._windows[1] = Windows(self._windows[1].length, self._windows[1].size)

    def _add(self, side: int, frames: Tensor) -> None:
        for window in self._windows[side].push(frames):
            self._statistics[side].update(self._encode(window[None]))

    def compute(self) -> dict[str, Figure]:
        length = self._windows[0].length
        return {"fvd": frechet_figure(*self._statistics, f"windows of {length} frames")}


class VideoQuality:
    """A figure from a hook: any callable that gives a window (T, H, W, 3) in [0, 1] one score, such as DOVER's.

    Mean over the windows; a clip shorter than one window is given as it is. DOVER (Wu et al. 2023) itself is no
    package that can be asked for here: the caller wraps it.
    """

    def __init__(self, name: str, score: Callable[[Tensor], float], length: int = WINDOW) -> None:
        self.name, self._score, self._windows, self._frames = name, score, Windows(length), 0
        self._values: list[float] = []

    def update(self, output: Tensor) -> None:
        """output (T, H, W, 3) in [0, 1]."""
        output = check_frames(output, "output", self._frames)
        self._frames += len(output)
        self._values += [self._call(window) for window in self._windows.push(output)]

    def _call(self, window: Tensor) -> float:
        try:
            return float(self._score(window))
        except Exception as error:  # another's code: whatever it raises is said in a sentence
            raise UserError(f"The quality hook {self.name} failed ({error}): mend it or leave it out.") from error

    def compute(self) -> dict[str, Figure]:
        values, held = self._values, self._windows._held
        if not values and held:
            values = [self._call(torch.stack(held).float() / 255)]
        known = [value if value == value else None for value in values]
        absent = "the hook gave no number" if self._frames else "no frames"
        return {self.name: mean_figure(known, "", "higher", absent, f"{len(values)} windows")}


def load_video_encoder(folder: str | Path, device: str | torch.device | None = None) -> tuple[VideoEncode, int, tuple]:
    """A VideoMAE or TimeSformer folder (transformers, safetensors) as (encode, frames a window has, (height, width)).

    Features: the mean over the tokens of the last layer. device: None is the best there is. UserError for a folder of
    another kind.
    """
    folder, device = Path(folder), chosen_device(device)
    if model_type(folder) not in _KINDS:
        raise UserError(f"{folder} is a {model_type(folder)} model: give one of {', '.join(_KINDS)}.")
    model = load_network(folder, _KINDS[model_type(folder)], device)
    mean, std, size = preprocessing(folder, _IMAGENET, model.config)
    mean, std = (torch.tensor(values, device=device)[:, None, None] for values in (mean, std))

    @torch.no_grad()
    def encode(windows: Tensor) -> Tensor:
        planes = windows.to(device, torch.float32).movedim(-1, 2)
        return model(pixel_values=(planes - mean) / std).last_hidden_state.mean(1).float().cpu()

    return encode, int(model.config.num_frames), (size, size)
