"""Dual-Prompt CFG Sampler: invert under one prompt, sample under another, in one node."""

from dataclasses import replace

from comfy_api.latest import io, ui
from torch import Tensor

from ...pipeline_core.diffusion import Only
from ...pipeline_core.diffusion.invert import METHODS
from ...pipeline_core.diffusion.solvers import SOLVERS
from ...pipeline_core.job.latent import enhance_latent
from ...pipeline_core.job.settings import EnhanceSettings
from ...pipeline_core.job.starts import start_guidance
from ...pipeline_core.job.table import STARTS
from ..host.guiders import BranchGuider
from ..host.running import Session, as_samples, run_in_guider, step_callback
from ..host.schedules import model_interpolant, sampling_grid
from ..shared.latents import require_content
from ..shared.reports import start_text
from ..shared.schema import search_words
from ..shared.widgets import cache_input, cfg_input


class DualPromptCFGSampler(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismDualPromptSampler",
            display_name="Dual-Prompt CFG Sampler",
            category="video realism/sampling",
            description="The whole diffusion pass in one node: finds the clip's noise under the inversion prompt, then "
            "samples it anew under the positive prompt. Loads the model once.",
            inputs=[
                io.Model.Input("model", tooltip="The model that inverts and samples."),
                io.Conditioning.Input("inversion", tooltip="Prompt of the clip as it is, with the controls."),
                io.Conditioning.Input("positive", tooltip="Prompt of the result, with the same controls."),
                io.Conditioning.Input("negative", tooltip="What to avoid (may be empty text), with the same controls."),
                io.Latent.Input("latent", tooltip="The clip, encoded with the model's own VAE."),
                io.Sigmas.Input(
                    "sigmas",
                    tooltip="Noise levels of both passes, high to low. Cut with Split Sigmas Denoise to stay nearer to "
                    "the clip.",
                ),
                cfg_input(),
                io.Combo.Input(
                    "start",
                    options=list(STARTS),
                    default="inversion",
                    tooltip="Where the noise comes from. inversion: from the clip itself. calibration: random, then "
                    "calibrated. sdedit: random over the clip. noise: random only, the clip is ignored. "
                    "flowedit, flowalign: no inversion, only what the prompts differ in changes; a call more a step.",
                ),
                io.Combo.Input(
                    "method", options=list(METHODS), default="exact", tooltip="How to invert; exact loses nothing."
                ),
                io.Combo.Input(
                    "solver",
                    options=list(SOLVERS),
                    default="dpmpp_2m",
                    tooltip="How to sample where nothing is inverted; an inversion is walked back the way it came.",
                ),
                io.Int.Input("calibration_rounds", default=1, min=1, max=50, tooltip="Rounds of the calibration."),
                io.Float.Input(
                    "calibration_nu",
                    default=0.5,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    round=0.001,
                    tooltip="Frequencies the calibration keeps, as a share of Nyquist.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**53 - 1,
                    control_after_generate=True,
                    tooltip="Of the random noise; an inversion draws none.",
                ),
                cache_input(),
            ],
            outputs=[
                io.Latent.Output(display_name="latent", tooltip="The enhanced clip, for VAE Decode."),
                io.String.Output(display_name="report", tooltip="What inversion or calibration measured, as JSON."),
            ],
            **search_words("inversion", "video to video", "sampler", "dual prompt", "realism"),
        )

    @classmethod
    def execute(
        cls,
        model,
        inversion,
        positive,
        negative,
        latent,
        sigmas,
        cfg,
        start,
        method,
        solver,
        calibration_rounds,
        calibration_nu,
        seed,
        cache=0.0,
    ) -> io.NodeOutput:
        if start != "noise":
            require_content(latent)
        settings = EnhanceSettings(
            start=start,
            cfg=cfg,
            method=method,
            solver=solver,
            calibration_rounds=calibration_rounds,
            calibration_nu=calibration_nu,
        )
        grid = sampling_grid(sigmas, model_interpolant(model))
        branches = {"inversion": inversion, "positive": positive, "negative": negative}
        guider = BranchGuider(model, branches, start_guidance(settings), cfg, cache)
        passes = 2 if start == "inversion" else 1
        show = step_callback(model, passes * (len(grid) - 1))
        done = 0

        def step_done(_step: int, _total: int, x0) -> None:
            nonlocal done
            show(done, passes * (len(grid) - 1), x0)
            done += 1

        def body(session: Session) -> tuple[Tensor, dict]:
            # Guidance is the guider's business, so that patches on the MODEL see it: the core gets its result as the
            # only answer, and scale 1 leaves that as it is.
            prompts = {"inversion": session.under(Only("inversion")), "positive": session.denoise}

            def predict(x: Tensor, sigma: float, names: list[str]) -> list[Tensor]:
                return [prompts[name](x, sigma) for name in names]

            unguided = replace(settings, cfg=1.0)
            return enhance_latent(predict, session.x0, grid, unguided, session.interpolant, seed, step_done)

        x0, entries = run_in_guider(guider, latent, None, grid.float(), body, seed)
        text, report = start_text(settings, entries)
        return io.NodeOutput({**latent, "samples": as_samples(x0, model)}, report, ui=ui.PreviewText(text))
