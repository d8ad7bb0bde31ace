"""Latent previews of jobs that bring their own networks, drawn by ComfyUI's own previewer where previews are on."""

from __future__ import annotations

from pathlib import Path

import latent_preview
from torch import Tensor

from ...pipeline_core.models.folders.preset_file import read_latent_rgb
from .folder.model import VideoLatent


class WatchedModel:
    """A loaded video model that keeps a picture of the last clean prediction of its network; else it is that model."""

    def __init__(self, model, folder: Path):
        self._model, self.picture = model, None
        form = VideoLatent(model.preset, model.transformer.config.out_channels, read_latent_rgb(folder))
        self._previewer = latent_preview.get_previewer(model.device, form)

    def __getattr__(self, name: str):
        return getattr(self._model, name)

    def predictor(self, *conditions, **source):
        predict = self._model.predictor(*conditions, **source)

        def watched(x: Tensor, sigma: float, branches) -> list[Tensor]:
            answers = predict(x, sigma, branches)
            if self._previewer is not None:
                _, self.picture, _ = self._previewer.decode_latent_to_preview_image("JPEG", answers[0].float())
            return answers

        return watched
