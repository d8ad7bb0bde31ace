"""What CLIP says about single frames in words: CLIP-IQA's quality and naturalness, and PickScore's preference."""

from __future__ import annotations

from torch import Tensor

from ..errors import UserError
from ..perception.text_image import TextImage, cosines
from .base import Figure, check_frames, mean_figure

# Antonyms: the paper's own for quality, and its abstract attribute "natural" for realism (table 4 and figure 1).
PAIRS = {"clip_iqa": ("Good photo.", "Bad photo."), "clip_natural": ("Natural photo.", "Synthetic photo.")}


class ClipQuality:
    """`clip_iqa` and `clip_natural`: CLIP-IQA of Wang, Chan and Loy 2023, equation 2, mean over frames.

    exp(s c1) / (exp(s c1) + exp(s c2)), c1 and c2 the cosines of the frame to the two texts of `PAIRS` and s the
    network's own scale; 0.5 is undecided, 1 is the first text. The paper takes CLIP RN50 without its position
    embedding; here it is any CLIP folder as it comes, so numbers compare only with ones of the same folder.
    """

    def __init__(self, network: TextImage) -> None:
        self._network, self._frames = network, 0
        self._texts = {name: network.texts(list(pair)) for name, pair in PAIRS.items()}
        self.series: dict[str, list] = {name: [] for name in PAIRS}

    def update(self, output: Tensor) -> None:
        """output (T, H, W, 3) in [0, 1]."""
        output = check_frames(output, "output", self._frames)
        self._frames += len(output)
        if len(output) == 0:
            return
        images = self._network.image(output)
        for name, texts in self._texts.items():
            likely = (self._network.scale * cosines(images, texts)).softmax(1)
            self.series[name] += likely[:, 0].tolist()

    def compute(self) -> dict[str, Figure]:
        return {
            name: mean_figure(values, "", "higher", "no frames", f"{self._network.name}: {' / '.join(PAIRS[name])}")
            for name, values in self.series.items()
        }


class PickScore:
    """`pickscore`: PickScore of Kirstain et al. 2023, equation 2, mean over frames: s * cos(frame, prompt).

    network: the PickScore folder (a CLIP-H tuned on human choices; another CLIP gives its CLIPScore). About 20; only
    differences between outputs for one prompt mean something. UserError for an empty prompt.
    """

    def __init__(self, network: TextImage, prompt: str) -> None:
        if not prompt.strip():
            raise UserError("PickScore came without a prompt: say what the output should show.")
        self._network, self._frames, self._text = network, 0, network.texts([prompt])
        self.series: dict[str, list] = {"pickscore": []}

    def update(self, output: Tensor) -> None:
        """output (T, H, W, 3) in [0, 1]."""
        output = check_frames(output, "output", self._frames)
        self._frames += len(output)
        if len(output):
            values = self._network.scale * cosines(self._network.image(output), self._text)[:, 0]
            self.series["pickscore"] += values.tolist()

    def compute(self) -> dict[str, Figure]:
        return {"pickscore": mean_figure(self.series["pickscore"], "", "higher", "no frames", self._network.name)}


def unmeasured() -> dict[str, Figure]:
    """The figures of both where they were not measured, with what they need."""
    quality = {name: Figure(None, "", "higher", "not measured: give a CLIP with its texts") for name in PAIRS}
    return {**quality, "pickscore": Figure(None, "", "higher", "not measured: give PickScore and a prompt")}
