"""Which networks a batch works with, as plain values that go to every worker, and the networks themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..job.dials import job_settings
from ..job.files import enhance_file

if TYPE_CHECKING:
    from ..conditions.buffers import Buffers
    from ..conditions.estimated import Estimators
    from ..job.progress import Progress
    from ..models.networks.video_model import VideoModel
    from ..video.facts import ClipFacts
    from .recipe import Variant


@dataclass(frozen=True)
class NetworkChoice:
    """Folders and files, absolute paths or None, and what networks run on and in: as the options of `enhance`.

    loras, simdrop_reference: LORA or LORA:WEIGHT each, absolute paths too.
    """

    model: str | None = None
    depth_model: str | None = None
    segmentation_model: str | None = None
    flow_model: str | None = None
    device: str | None = None
    precision: str = "auto"
    weights: str = "auto"
    loras: tuple[str, ...] = ()
    simdrop_reference: str | None = None

    def estimators(self) -> dict[str, str | None]:
        """{name: path} of the networks beside the video model."""
        return {name: value for name, value in asdict(self).items() if name.endswith("_model")}

    def options(self) -> list[str]:
        """The same as options of the command line, those with their default left out."""
        usual = NetworkChoice()
        values = {name: value for name, value in asdict(self).items() if value != getattr(usual, name)}
        loras = [part for lora in values.pop("loras", ()) for part in ("--lora", lora)]
        return [part for name, value in values.items() for part in (f"--{name.replace('_', '-')}", value)] + loras


@dataclass(frozen=True)
class Networks:
    """What a worker loads once and holds."""

    model: VideoModel
    estimators: Estimators

    def enhance(
        self, facts: ClipFacts, target: Path, variant: Variant, buffers: Buffers | None, progress: Progress | None,
        window_kept: Callable[[], None],
    ) -> dict:  # fmt: skip
        """Make a variant of a clip; its windows stay beside it. Returns the report of `enhance_file`, as it raises."""
        settings = job_settings(self.model.preset, {**variant.settings, "seed": variant.seed})
        return enhance_file(
            facts, target, self.model, settings, buffers, self.estimators, keep_windows=True, progress=progress,
            window_kept=window_kept,
        )  # fmt: skip


def load_networks(choice: NetworkChoice) -> Networks:
    """UserError as `load_video_model` and `load_estimators`."""
    from ..models.folders.loading import load_video_model
    from ..models.folders.lora import parse_lora
    from ..perception.estimators import load_estimators

    folders = [None if path is None else Path(path) for path in choice.estimators().values()]
    depth, segmentation, flow = folders
    estimators = load_estimators(depth, segmentation, choice.device, flow)
    folder = None if choice.model is None else Path(choice.model)
    loras = [parse_lora(text) for text in choice.loras]
    named = choice.simdrop_reference
    reference = None if named is None else parse_lora(named, "--simdrop-reference")
    model = load_video_model(
        folder, choice.device, choice.precision, choice.weights, loras=loras, reference=reference
    )  # fmt: skip
    return Networks(model, estimators)
