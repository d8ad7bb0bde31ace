"""Noise Calibrate: random (or inverted) noise that makes the model keep the clip's layout (NC-SDEdit)."""

from comfy_api.latest import io, ui

from ...pipeline_core.diffusion import Calibration, calibrate_noise
from ...pipeline_core.job.settings import EnhanceSettings
from ..host.noise import StructuredNoise, native_weight
from ..host.running import Session, run_in_guider, step_callback
from ..shared.latents import require_content
from ..shared.reports import calibration_text
from ..shared.schema import search_words


class NoiseCalibrate(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismNoiseCalibrate",
            display_name="Noise Calibrate",
            category="video realism/noise",
            description="Adjusts a noise so that sampling over the clip keeps its coarse layout: 1 to 3 extra model "
            "calls make plain video-to-video (SDEdit) far more faithful. Sample over the same latent with the same "
            "guider and sigmas.",
            inputs=[
                io.Noise.Input("noise", tooltip="Random Noise, or the noise of DDIM Invert."),
                io.Guider.Input("guider", tooltip="The guider that will sample, any kind."),
                io.Latent.Input("latent", tooltip="The clip, encoded with the model's own VAE."),
                io.Sigmas.Input(
                    "sigmas",
                    tooltip="The sampling noise levels; the first is the level that is calibrated. Use Split Sigmas "
                    "Denoise (0.5 to 0.8) before: at full noise nothing of the clip is left to calibrate against.",
                ),
                io.Int.Input(
                    "rounds", default=1, min=1, max=50, tooltip="N of the paper: corrections of 1 model call each."
                ),
                io.Float.Input(
                    "nu",
                    default=EnhanceSettings.calibration_nu,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    round=0.001,
                    tooltip="Spatial frequencies to keep, as a share of the latent's Nyquist frequency; higher keeps "
                    "more of the clip.",
                ),
                io.Float.Input(
                    "low",
                    default=0.0,
                    min=0.0,
                    max=0.99,
                    step=0.01,
                    round=0.001,
                    tooltip="Leave the frequencies below this share of Nyquist free: they carry colour and exposure. "
                    "0 is the paper's form, which pins the clip's colours too.",
                ),
                io.Combo.Input(
                    "filter",
                    options=["box", "symmetric"],
                    default="box",
                    tooltip="box: the paper's half-open FFT box; symmetric: the same on both sides.",
                ),
                io.Float.Input(
                    "max_std",
                    default=0.0,
                    min=0.0,
                    max=3.0,
                    step=0.01,
                    round=0.001,
                    tooltip="Guard against over-saturation at many rounds: the noise's standard deviation may grow by "
                    "this factor at most (1.05 is a good guard). 0 switches it off.",
                ),
            ],
            outputs=[
                io.Noise.Output(display_name="noise", tooltip="Calibrated noise, for SamplerCustomAdvanced."),
                io.String.Output(display_name="report", tooltip="Residuals, calls and noise statistics as JSON."),
            ],
            **search_words("calibration", "nc-sdedit", "noise calibration", "video to video"),
        )

    @classmethod
    def execute(cls, noise, guider, latent, sigmas, rounds, nu, low, filter, max_std) -> io.NodeOutput:
        require_content(latent)
        callback = step_callback(guider.model_patcher, rounds + 1)

        def body(session: Session) -> tuple[Calibration, float]:
            weight = native_weight(session)
            calibration = calibrate_noise(
                session.denoise,
                session.x0,
                session.noise * weight,
                float(sigmas[0]),
                session.interpolant,
                rounds,
                nu,
                filter,
                low=low,
                max_std=max_std or None,
                callback=callback,
                state_dtype=session.state_dtype,
            )
            return calibration, weight

        start = noise.generate_noise(latent)
        calibration, weight = run_in_guider(guider, latent, start, sigmas, body, noise.seed)
        text, report = calibration_text(calibration.report)
        calibrated = StructuredNoise(calibration.noise.cpu(), noise.seed, weight)
        return io.NodeOutput(calibrated, report, ui=ui.PreviewText(text))
