"""Batch Folder: the next clip of a folder that has no result yet, with its buffers' pictures."""

from comfy_api.latest import InputImpl, io, ui

from ...pipeline_core.batch.graph_batch import GraphBatch, Piece, pictures
from ...pipeline_core.conditions.buffers import scene_description
from ..host.claims import while_prompt_runs
from ..host.outputs import missing_output
from ..host.paths import INPUT, clip_folders
from ..shared.packages import require_packages
from ..shared.schema import search_words
from ..shared.tickets import graph_batch, ticket


class BatchFolder(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismBatchFolder",
            display_name="Batch Folder",
            category="video realism/video",
            description="Gives the next clip of a folder that has no result yet, each time the graph is queued, so "
            "that a graph works through a folder: queue it as often as there are clips. Several ComfyUIs may share a "
            "folder. Stopped at any time, it goes on where it was. End the graph with Save To Dataset.",
            inputs=[
                io.Combo.Input(
                    "folder",
                    options=list(clip_folders()),
                    default=INPUT,
                    tooltip="Where the clips are: a folder in ComfyUI's input folder, looked through with all folders "
                    "in it. Buffers lie beside a clip in NAME_buffers, or are the recording that it is part of.",
                ),
                io.String.Input(
                    "output",
                    default="dataset",
                    tooltip="Folder in ComfyUI's output folder for the results, as the command enhance-folder writes "
                    "it.",
                ),
                io.String.Input(
                    "variant",
                    default="graph",
                    tooltip="What these results are called, such as night: with another name the folder is worked "
                    "through again. Small letters, figures, - and _.",
                ),
                io.Int.Input(
                    "draw",
                    default=0,
                    min=0,
                    max=9999,
                    tooltip="Number behind the variant's name, for several results of one clip that differ in their "
                    "noise only.",
                ),
                io.Int.Input(
                    "most_frames",
                    default=0,
                    min=0,
                    max=100_000,
                    tooltip="How many of a clip's first frames are read. 0: all.",
                ),
                io.Boolean.Input(
                    "retry_failed",
                    default=False,
                    tooltip="Take clips again that could not be worked on before.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="frames", tooltip="The clip's frames."),
                io.Video.Output(display_name="video", tooltip="The clip's file."),
                io.Image.Output(display_name="depth_pictures", tooltip="Its depth, for Simulator Buffers."),
                io.Image.Output(display_name="tag_pictures", tooltip="Its class tags, for Simulator Buffers."),
                io.Image.Output(display_name="instance_pictures", tooltip="Its objects, for Simulator Buffers."),
                io.String.Output(display_name="description", tooltip="What is in the scene, where the buffers say so."),
                io.String.Output(display_name="clip", tooltip="Which clip it is, for Save To Dataset."),
                io.Int.Output(display_name="left", tooltip="How many clips are left, this one among them."),
            ],
            **search_words("batch", "folder", "queue", "dataset", "many clips", "carla", "load videos"),
        )

    @classmethod
    def fingerprint_inputs(cls, **_):
        return float("nan")  # what comes next changes without any input

    @classmethod
    def execute(cls, folder, output, variant, draw, most_frames, retry_failed) -> io.NodeOutput:
        require_packages("av")
        batch = graph_batch(folder, output, variant, draw)
        piece = batch.next_piece(most_frames, retry_failed)
        counts = batch.counts()
        if piece is None:
            text = _text(counts, "Nothing is left to do." if not counts["left"] else "Others work on what is left.")
            return io.NodeOutput(*[missing_output(None)] * 8, ui=ui.PreviewText(text))
        source = piece.task.source
        _hold(batch, piece)
        buffers, count = piece.buffers, len(piece.frames)
        maps = [
            None if buffers is None else pictures(buffers, name, count) for name in ("depth", "semantic", "instance")
        ]
        return io.NodeOutput(
            piece.frames,
            InputImpl.VideoFromFile(str(source.clip)),
            *maps,
            scene_description(None if buffers is None else buffers.folder),
            ticket(folder, output, variant, draw, source.id),
            counts["left"] + (counts["failed"] if retry_failed else 0),
            ui=ui.PreviewText(_text(counts, f"{source.id}, {count} frames")),
        )


def _hold(batch: GraphBatch, piece: Piece) -> None:
    """Keep the clip for this graph until it is over, and note its failure where it ended in one."""

    def ended(reason: str | None) -> None:
        try:
            if reason is not None and piece.lease.held():
                batch.fail(piece.task, reason)
        finally:
            piece.lease.release()

    while_prompt_runs(piece.lease.touch, ended)


def _text(counts: dict[str, int], line: str) -> str:
    return f"{line}\n{', '.join(f'{count} {status}' for status, count in counts.items())}"
