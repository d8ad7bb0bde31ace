"""Long Video Sampler: SamplerCustomAdvanced for a latent of any length, and of any frame size by tiles."""

import json
from dataclasses import replace

from comfy_api.latest import io, ui

from ...pipeline_core.diffusion.invert import METHODS
from ...pipeline_core.errors import UserError
from ...pipeline_core.job.table import HANDOVERS
from ...pipeline_core.longvideo.plan import compute_factor
from ..host.jobs import announce
from ..host.paths import NONE
from ..host.running import step_callback
from ..host.schedules import model_interpolant, sampling_grid
from ..host.windows.predictions import layout_of
from ..host.windows.sampling import Passing, invert_windows, sample_windows, whole_latent
from ..host.windows.tiles import latent_tiles, pixels_a_cell, tile_lines
from ..shared.latents import require_content
from ..shared.long_video import MEANINGS, flow_input, layout_lines, plan_inputs, source_motion, tile_inputs
from ..shared.schema import search_words


class LongVideoSampler(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismLongVideoSampler",
            display_name="Long Video Sampler",
            category="video realism/sampling",
            description="Samples a clip of any length with a model of a fixed one: window by window inside, each going "
            "on from the one before, without a detour over pixels, and frames larger than the model's in tiles. "
            "In place of SamplerCustomAdvanced; with inversion connected it takes the place of DDIM Invert too.",
            inputs=[
                io.Guider.Input("guider", tooltip="Any guider. Its ControlNets and VACE maps are of the whole clip."),
                io.Latent.Input("latent", tooltip="The whole clip, encoded with the model's own VAE; any length."),
                io.Sigmas.Input("sigmas", tooltip="Noise levels, high to low."),
                io.Noise.Input(
                    "noise",
                    optional=True,
                    tooltip="Noise for the whole clip, such as Random Noise. Not with inversion.",
                ),
                io.Sampler.Input(
                    "sampler", optional=True, tooltip="Any sampler, such as KSamplerSelect. Not with inversion."
                ),
                io.Conditioning.Input(
                    "inversion",
                    optional=True,
                    tooltip="Prompt that describes the clip as it is now, with the controls: every window then starts "
                    "from its own inverted noise and is walked back the way it came. No noise or sampler is needed.",
                ),
                io.Image.Input(
                    "source", optional=True, tooltip="The clip's frames; only the hand-over along motion reads them."
                ),
                *plan_inputs(),
                io.Combo.Input(
                    "handover",
                    options=list(HANDOVERS),
                    default="fused",
                    tooltip=f"How windows go on from each other. none: they are only crossfaded. {MEANINGS}",
                ),
                io.Combo.Input(
                    "method", options=list(METHODS), default="exact", tooltip="How to invert; exact loses nothing."
                ),
                flow_input("For the hand-over along motion"),
                *tile_inputs(),
            ],
            outputs=[
                io.Latent.Output(display_name="latent", tooltip="The whole clip, as long as it came, for VAE Decode."),
                io.String.Output(display_name="report", tooltip="Windows, cost and inversion figures as JSON."),
            ],
            hidden=[io.Hidden.unique_id],
            **search_words("long video", "context window", "sliding window", "any length", "lvsc", "sampler"),
        )

    @classmethod
    def execute(
        cls, guider, latent, sigmas, window, overlap, temporal_ratio, handover, method,
        noise=None, sampler=None, inversion=None, source=None, flow_model=NONE,
        tile_width=0, tile_height=0, tile_overlap=64,
    ) -> io.NodeOutput:  # fmt: skip
        check_start(inversion, noise, sampler)
        model = guider.model_patcher
        latent = whole_latent(latent, model)
        shape, ratio = latent["samples"].shape, pixels_a_cell(model)
        tiles = latent_tiles(shape, ratio, tile_width, tile_height, tile_overlap)
        layout = replace(layout_of(shape, window, overlap, temporal_ratio), tiles=tiles)
        lines = [*layout_lines(layout), *tile_lines(tiles, ratio), f"hand-over: {handover}"]
        announce(cls.hidden.unique_id, "\n".join(lines))
        passing = Passing(handover, source_motion(handover, source, flow_model))
        passes = 1 if handover == "fused" else len(layout.windows)
        inverted, reports = None, []
        if inversion is not None:
            require_content(latent)
            sigmas = sampling_grid(sigmas, model_interpolant(model))
        step = counted(model, passes * (len(sigmas) - 1) * (1 if inversion is None else 2))
        if inversion is not None:
            inverted, reports = invert_windows(model, inversion, latent, sigmas, layout, passing, method, step)
            seed, start = 0, inverted[0].exact.native()
            lines.append(f"every window from its own inverted noise ({method}, {len(sigmas) - 1} steps)")
        else:
            seed, start = noise.seed, noise.generate_noise(latent)
        samples = sample_windows(guider, latent, start, sampler, sigmas.float(), layout, passing, inverted, step, seed)
        report = {
            "frames": layout.windows[-1].stop,
            "windows": [[w.start, w.stop] for w in layout.windows],
            "latent_windows": [[span.start, span.stop] for span in layout.spans],
            "compute_factor": round(compute_factor(layout.windows, layout.windows[-1].stop), 3),
            "handover": handover,
            "tiles": len(tiles or ()),
            "inversion": [entry.to_dict() for entry in reports],
        }
        text = ui.PreviewText("\n".join(lines))
        return io.NodeOutput({**latent, "samples": samples}, json.dumps(report), ui=text)


def check_start(inversion, noise, sampler) -> None:
    """Either an inversion prompt, or noise and a sampler; UserError for both and for neither."""
    connected = [name for name, value in (("noise", noise), ("sampler", sampler)) if value is not None]
    if inversion is not None and connected:
        raise UserError(
            f"With inversion every window makes its own noise and retraces it: disconnect {' and '.join(connected)}, "
            "or inversion."
        )
    if inversion is None and len(connected) < 2:
        missing = [name for name in ("noise", "sampler") if name not in connected]
        raise UserError(f"Nothing to start from: connect {' and '.join(missing)}, or connect inversion instead.")


def counted(model, total: int):
    """step(x0): moves the bar by one step and shows the latent; Cancel is heard here."""
    show, done = step_callback(model, total), 0

    def step(x0) -> None:
        nonlocal done
        show(done, total, x0)
        done += 1

    return step
