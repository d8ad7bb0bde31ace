"""Enhance Video File: Enhance Realism from file to file, for clips that do not fit into memory."""

import json
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from comfy_api.latest import InputImpl, io, ui
from PIL import Image
from torch import Tensor

from ...pipeline_core.doors import writable
from ...pipeline_core.job.plan import Job, prepare
from ...pipeline_core.job.run import run
from ...pipeline_core.job.settings import EnhanceSettings
from ...pipeline_core.job.table import HANDOVERS, STITCHES
from ...pipeline_core.longvideo import ChunkFolder
from ...pipeline_core.models.folders.loading import load_video_model
from ...pipeline_core.video.files import remove_unfinished
from ...pipeline_core.video.frames import as_floats, resize
from ..host.folder.folders import model_folder
from ..host.jobs import PREVIEW_SIZE, announce, compute_device, make_room, progress_bar
from ..host.paths import (
    DEPTH,
    FLOW,
    NONE,
    SEGMENTATION,
    folder_menu,
    input_clip,
    input_clips,
    optional_file,
    optional_folder,
    output_place,
)
from ..host.previews import WatchedModel
from ..shared.long_video import flow_input, plan_lines
from ..shared.packages import require_packages
from ..shared.reports import job_text
from ..shared.schema import advanced, search_words
from ..shared.widgets import (
    detail_input,
    dial_inputs,
    keep_input,
    pass_inputs,
    settings_input,
    single_mask,
    widget_settings,
)

SAMPLES = 16  # the most frames in the outputs source and enhanced


class EnhanceVideoFile(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismEnhanceVideoFile",
            display_name="Enhance Video File",
            category="video realism/video",
            description="Makes simulated driving video look filmed, from file to file. Works on a few frames at a "
            "time, so a clip may be of any length. Stopped or killed, it goes on where it was when queued again.",
            inputs=[
                io.Combo.Input(
                    "video",
                    options=input_clips(),
                    upload=io.UploadType.video,
                    tooltip="A clip in ComfyUI's input folder (press R for new ones to be listed) or an example. Where "
                    "a simulator's buffers lie beside it in a folder NAME_buffers, they are used. Its sound is kept.",
                ),
                io.String.Input(
                    "filename_prefix",
                    default="video/enhanced",
                    tooltip="Where in ComfyUI's output folder the result goes; the clip's name and a number follow.",
                ),
                *dial_inputs(),
                io.Combo.Input(
                    "handover",
                    options=list(HANDOVERS),
                    default=EnhanceSettings.handover,
                    tooltip="What a window gets from the one before. none: they are crossfaded. mean: the frames they "
                    "share, the difference spread over its own. motion: the same along the clip's motion. fused: all "
                    "windows predict the whole clip together; needs its whole latent in memory.",
                ),
                io.Combo.Input(
                    "stitch",
                    options=list(STITCHES),
                    default=EnhanceSettings.stitch,
                    tooltip="How frames that two windows share become one. flow: both are moved to where their mixture "
                    "has its edges, so that none is shown twice; slower.",
                    **advanced(io.Combo.Input),
                ),
                *pass_inputs(),
                io.Combo.Input(
                    "depth_model",
                    options=folder_menu(DEPTH),
                    default=NONE,
                    tooltip="A folder in models/depth_estimation, for clips whose buffers have no depth. none: the "
                    "pack's own network, for clips of its own world alone.",
                    **advanced(io.Combo.Input),
                ),
                io.Combo.Input(
                    "segmentation_model",
                    options=folder_menu(SEGMENTATION),
                    default=NONE,
                    tooltip="A folder in models/semantic_segmentation, for clips whose buffers have no classes. none: "
                    "as for depth_model.",
                    **advanced(io.Combo.Input),
                ),
                flow_input("For motion and flow, where the clip's buffers have none", optional=False),
                settings_input(),
                detail_input(optional=True),
                keep_input(),
                io.Boolean.Input(
                    "accept_damaged",
                    default=False,
                    optional=True,
                    tooltip="Go on with what can be decoded of a clip that is cut or broken; the report says what is "
                    "missing. Off: such a clip is refused.",
                ),
            ],
            outputs=[
                io.Video.Output(display_name="video", tooltip="The enhanced clip: as many frames, same rate and size."),
                io.String.Output(display_name="report", tooltip="Settings, windows and what was taken over, as JSON."),
                io.Image.Output(display_name="source", tooltip="Up to 16 frames spread over the clip, small."),
                io.Image.Output(display_name="enhanced", tooltip="The same frames of the result, for Compare."),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
            **search_words("video file", "long video", "resume", "streaming", "sim2real", "batch", "carla"),
        )

    @classmethod
    def validate_inputs(cls, video):
        # A wired name comes when the graph runs.
        known = video is None or video in input_clips()
        return known or f"The video {video} is not in ComfyUI's input folder."

    @classmethod
    def fingerprint_inputs(cls, video, **_):
        return input_clip(video, "video").stat().st_mtime

    @classmethod
    def execute(
        cls, video, filename_prefix, realism, faithfulness, prompt, model, handover, stitch, seed, steps,
        depth_model, segmentation_model, flow_model, settings="", detail=EnhanceSettings.detail, keep=None,
        accept_damaged=False,
    ) -> io.NodeOutput:  # fmt: skip
        require_packages("av", "kornia", "diffusers", "transformers")
        from ...pipeline_core.conditions.buffers import find_buffers
        from ...pipeline_core.perception.estimators import load_estimators
        from ...pipeline_core.video import media
        from ...pipeline_core.video.facts import examine, frames_of

        source = input_clip(video, "video")
        target, subfolder = target_of(source, filename_prefix)
        writable(target, "filename_prefix")
        remove_unfinished(target)
        buffers = find_buffers(source)
        facts, device = examine(source), compute_device()
        if not accept_damaged:
            facts.refuse_damage(", or set accept_damaged to go on with what is there")
        info = facts.info
        make_room()
        folder = model_folder(model)
        network = WatchedModel(load_video_model(folder, device, tell=logging.info), folder)
        estimators = load_estimators(
            optional_folder(DEPTH, depth_model, "depth_model"),
            optional_folder(SEGMENTATION, segmentation_model, "segmentation_model"),
            str(device),
            optional_file(FLOW, flow_model, "flow_model"),
        )
        wanted = widget_settings(
            network.preset, realism, faithfulness, prompt, seed, steps, settings,
            handover=handover, stitch=stitch, detail=detail,
        )  # fmt: skip
        read, mask = lambda: frames_of(facts, accept_damaged), single_mask(keep)  # noqa: E731
        job = prepare(info.frames, facts.size, network, wanted, buffers, estimators, read, keep=mask)
        job.report.notes.extend(facts.said())
        chunks = KeptWindows(target.with_name(f"{target.name}.windows"), {"input": source.name})
        shown = Shown(cls.hidden.unique_id, job, network, chunks)
        with media.VideoWriter(target, info.fps, facts.size, like=facts, lenient=accept_damaged) as out:
            job.report.notes.extend(out.notes)
            for frame in run(job, shown.sources(read()), shown.progress, chunks):
                out.write(frame)
                shown.result(frame)
        chunks.remove()
        report = {
            "input": video,
            "output": f"{subfolder}/{target.name}" if subfolder else target.name,
            "frames": info.frames,
            "fps": str(info.fps),
            "size": list(facts.size),
            "sound": out.sound,
            "damage": facts.damage,
            "windows_taken_over": chunks.taken,
            **job.report.to_dict(),
        }
        lines = [report["output"], job_text(job.report)]
        if chunks.taken:
            lines.insert(1, f"{chunks.taken} windows were there from an earlier run")
        saved = ui.PreviewVideo([ui.SavedResult(target.name, subfolder, io.FolderType.output)])
        return io.NodeOutput(
            InputImpl.VideoFromFile(str(target)),
            json.dumps(report),
            *shown.samples(),
            ui={**saved.as_dict(), **ui.PreviewText("\n".join(lines)).as_dict()},
        )


def target_of(source: Path, prefix: str) -> tuple[Path, str]:
    """(the result's path, its folder below the output folder): the first number that no finished file has.

    An unfinished run leaves no file of that name, so that the same prompt finds its windows again.
    """
    folder, name, _, subfolder = output_place(prefix)
    number = 1
    while (target := folder / f"{name}_{source.stem}_{number:05}.mp4").exists():
        number += 1
    return target, subfolder


class KeptWindows(ChunkFolder):
    """The windows on disk, counting those of an earlier run that were taken over."""

    taken = 0

    def load(self, index: int, key: str):
        finished = super().load(index, key)
        self.taken += finished is not None
        return finished


class Shown:
    """What the node shows while it works: the plan, the window at work, and a frame of every window that is done."""

    def __init__(self, node: str, job: Job, network: WatchedModel, chunks: KeptWindows):
        self.node, self.windows, self.network = node, job.windows, network
        self.lines = plan_lines(job.report.plan["frames"], job.windows)
        if chunks.count:
            self.lines.append(f"{chunks.count} windows of an earlier run are there")
        self._bar, self._at, self._steps = progress_bar(), -1, (0, 1)
        last = job.report.plan["frames"] - 1
        self._kept = {round(k * last / (SAMPLES - 1)) for k in range(SAMPLES)}
        self._wanted = self._kept | {window.keep.start for window in job.windows}
        scale = min(1.0, PREVIEW_SIZE / max(job.size))
        self._size = tuple(max(1, round(side * scale)) for side in job.size)
        self._sources: dict[int, Tensor] = {}
        self._last: Tensor | None = None
        self._samples: list[tuple[Tensor, Tensor]] = []
        self._done = 0
        self._tell(0)

    def _tell(self, index: int) -> None:
        if index != self._at and index < len(self.windows):
            self._at = index
            announce(self.node, "\n".join([*self.lines, f"window {index + 1} of {len(self.windows)}"]))

    def progress(self, done: int, total: int) -> None:
        self._steps = done, total
        self._bar(done, total, self.network.picture)
        self._tell(done * len(self.windows) // total)

    def sources(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """The frames as they come, keeping small ones of those that will be shown."""
        for index, frame in enumerate(frames):
            if index in self._wanted:
                self._sources[index] = self._small(frame)
            yield frame

    def _small(self, frame: Tensor) -> Tensor:
        return resize(as_floats(frame)[None], self._size)[0].clamp(0, 1).cpu()

    def result(self, frame: Tensor) -> None:
        """A finished frame; Cancel is heard here too."""
        if self._done in self._wanted:
            # A clip may end before its planned frames: its last frame then stands for the rest, here too.
            self._last = self._sources.pop(self._done, self._last)
            pair = self._last, self._small(frame)
            if self._done in self._kept:
                self._samples.append(pair)
            self._bar(*self._steps, picture=Image.fromarray((torch.cat(pair, 1) * 255).round().byte().numpy()))
        else:
            self._bar(*self._steps)
        self._done += 1

    def samples(self) -> tuple[Tensor, Tensor]:
        """IMAGEs of the source and of the result."""
        return tuple(torch.stack(frames) for frames in zip(*self._samples))
