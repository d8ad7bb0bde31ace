"""DDIM Invert: the noise that sampling would turn back into a given latent."""

from comfy_api.latest import io, ui

from ...pipeline_core.diffusion import Inversion, Only, invert
from ...pipeline_core.diffusion.invert import METHODS
from ..host.families import family_remarks
from ..host.guiders import BranchGuider
from ..host.noise import RetraceSampler, StructuredNoise, native_weight
from ..host.running import Session, run_in_guider, step_callback
from ..host.schedules import model_interpolant, sampling_grid
from ..shared.latents import require_content
from ..shared.reports import inversion_text
from ..shared.schema import search_words


class DDIMInvert(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismDDIMInvert",
            display_name="DDIM Invert",
            category="video realism/noise",
            description="Finds the noise that the model would turn into your clip. Sampling from it under another "
            "prompt keeps the clip's layout, motion and lights. Feed noise, sampler and sigmas to "
            "SamplerCustomAdvanced.",
            inputs=[
                io.Model.Input("model", tooltip="The video (or image) model; EPS, V, EDM and flow models work."),
                io.Conditioning.Input(
                    "inversion", tooltip="Prompt that describes the clip as it is now, with the controls applied."
                ),
                io.Latent.Input("latent", tooltip="The clip, encoded with the model's own VAE."),
                io.Sigmas.Input(
                    "sigmas",
                    tooltip="The sampling noise levels, high to low (do not flip them). Cut the high ones off with "
                    "Split Sigmas Denoise to stay nearer to the clip.",
                ),
                io.Combo.Input(
                    "method",
                    options=list(METHODS),
                    default="exact",
                    tooltip="exact: undone without error, 1 model call a step. euler: plain DDIM. fixed_point: DDIM "
                    "solved backwards, up to 12 calls a step. heun, midpoint: second order, 2 calls a step.",
                ),
                io.Boolean.Input(
                    "measure_round_trip",
                    default=False,
                    tooltip="Also sample back and report the relative error; costs as many model calls again.",
                ),
            ],
            outputs=[
                io.Noise.Output(display_name="noise", tooltip="Structured noise, in place of Random Noise."),
                io.Sampler.Output(display_name="sampler", tooltip="The solver that retraces this inversion."),
                io.Sigmas.Output(display_name="sigmas", tooltip="The noise levels both passes use."),
                io.String.Output(display_name="report", tooltip="Method, model calls and errors as JSON."),
            ],
            **search_words("inversion", "ddim inversion", "unsample", "structured noise", "video to video"),
        )

    @classmethod
    def execute(cls, model, inversion, latent, sigmas, method, measure_round_trip) -> io.NodeOutput:
        require_content(latent)
        grid = sampling_grid(sigmas, model_interpolant(model))
        guider = BranchGuider(model, {"inversion": inversion}, Only("inversion"))
        callback = step_callback(model, len(grid) - 1)

        def body(session: Session) -> tuple[Inversion, float]:
            inverted = invert(
                session.denoise,
                session.x0,
                grid,
                session.interpolant,
                method,
                callback=callback,
                round_trip=measure_round_trip,
                state_dtype=session.state_dtype,
            )
            return inverted, native_weight(session)

        inverted, weight = run_in_guider(guider, latent, None, grid.float(), body)
        noise = StructuredNoise(inverted.noise.cpu(), weight=weight)
        text, report = inversion_text(inverted.report)
        text = "\n".join([text, *family_remarks(model, latent["samples"], grid)])
        outputs = noise, RetraceSampler(inverted.solver.to("cpu"), noise), grid.float(), report
        return io.NodeOutput(*outputs, ui=ui.PreviewText(text))
