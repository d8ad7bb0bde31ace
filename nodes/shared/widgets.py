"""Inputs that several nodes ask for alike."""

from collections.abc import Iterable

from comfy_api.latest import io
from torch import Tensor

from ...pipeline_core.errors import UserError
from ...pipeline_core.job.dials import job_settings
from ...pipeline_core.job.settings import EnhanceSettings
from ...pipeline_core.job.table import SETTINGS, parse_settings
from ...pipeline_core.models.folders.memory import WEIGHTS
from ...pipeline_core.models.folders.preset import Preset
from ..host.folder.folders import EMBEDDED_NAME, model_folders
from .schema import advanced, no_new_seed

SHARE = {"min": 0.0, "max": 1.0, "step": 0.01, "round": 0.001}  # of a number that is a share
START_PERCENT = io.Float.Input(
    "start_percent",
    default=0.0,
    **SHARE,
    tooltip="Guidance begins at this share of the sampling, 0 is the start.",
)
END_PERCENT = io.Float.Input(
    "end_percent",
    default=1.0,
    **SHARE,
    tooltip="Guidance ends at this share of the sampling, 1 is the end; outside only the positive prompt acts.",
)


def dial_inputs() -> list:
    """realism, faithfulness, prompt and model: what people change first."""
    dial = {"default": 0.5, **SHARE, "display_mode": io.NumberDisplay.slider}
    return [
        io.Float.Input(
            "realism",
            tooltip="0: hardly changed, 0.5: the model's preset, 1: as photoreal as the model can.",
            **dial,
        ),
        io.Float.Input(
            "faithfulness",
            tooltip="0: free to differ from the source, 0.5: the model's preset, 1: held to the source.",
            **dial,
        ),
        io.String.Input(
            "prompt",
            default="",
            multiline=True,
            tooltip="How the result should look, weather and light included. Empty: the model's preset.",
        ),
        io.Combo.Input(
            "model",
            options=list(model_folders()),
            default=EMBEDDED_NAME,
            tooltip="embedded: the small model of this pack, or a folder under models/diffusers.",
        ),
    ]


def settings_input() -> io.String.Input:
    """Every setting of the job by name, for what has no widget of its own."""
    text = "Any setting of the job, one a line, such as method = heun. They go before the dials and the other inputs."
    return lines_input("settings", text, SETTINGS)


def lines_input(name: str, text: str, known: Iterable[str]) -> io.String.Input:
    """An optional input of lines "name = value"; its tooltip is the text and the known names."""
    tooltip = f"{text} Known: {', '.join(known)}."
    options = {"default": "", "multiline": True, "optional": True, **advanced(io.String.Input)}
    return io.String.Input(name, tooltip=tooltip, **options)


def detail_input(optional: bool = False) -> io.Float.Input:
    """How much of the source's own detail a result gets at the source's size."""
    return io.Float.Input(
        "detail",
        default=EnhanceSettings.detail,
        min=0.0,
        max=1.0,
        step=0.05,
        round=0.001,
        optional=optional,
        tooltip="Share of the source's own detail where the model only changed its colours. 0: the model's pixels, "
        "enlarged to the source's size. What it drew anew stays its own.",
    )


def keep_input() -> io.Mask.Input:
    """Pixels that the job leaves alone."""
    return io.Mask.Input(
        "keep",
        optional=True,
        tooltip="One mask of the clip's size: where it is white every frame stays as it is, such as a screen display.",
    )


def single_mask(keep: Tensor | None) -> Tensor | None:
    """The one mask (H, W) of the input keep; UserError where several came."""
    if keep is None:
        return None
    if keep.dim() == 3 and len(keep) > 1:
        raise UserError(f"keep has {len(keep)} masks but one stands for all frames: connect a single mask to keep.")
    return keep.reshape(keep.shape[-2:])


def widget_settings(
    preset: Preset, realism: float, faithfulness: float, prompt: str, seed: int, steps: int, settings: str, **more
) -> EnhanceSettings:
    """The job's settings from dials, widgets (an empty prompt and 0 steps are the preset's) and the input settings."""
    values = {**pass_values(seed, steps), **more}
    if prompt.strip():
        values["prompt"] = prompt.strip()
    return job_settings(preset, values | parse_settings(settings), realism, faithfulness)


def pass_inputs() -> list:
    """seed and steps of a pass."""
    return [
        io.Int.Input(
            "seed",
            default=0,
            min=0,
            max=2**53 - 1,
            **no_new_seed(),
            tooltip="Of the random noise; starts that invert the source use none.",
        ),
        io.Int.Input("steps", default=0, min=0, max=1000, tooltip="Model steps of one pass. 0: the model's preset."),
    ]


def pass_values(seed: int, steps: int) -> dict[str, int]:
    """The settings of `pass_inputs`."""
    return {"seed": seed, **({"steps": steps} if steps else {})}


def cfg_input(default: float = 1.0) -> io.Float.Input:
    """The cfg widget of every guider."""
    return io.Float.Input(
        "cfg",
        default=default,
        min=0.0,
        max=50.0,
        step=0.1,
        round=0.01,
        tooltip="Guidance scale; 1 is off (and skips the negative prompt). High values undo what an inversion kept.",
    )


def cache_input() -> io.Float.Input:
    """The first-block cache of what samples."""
    return io.Float.Input(
        "cache",
        default=0.0,
        **SHARE,
        optional=True,
        tooltip="Saves time with a model of Load Video Model: where the first block changes by less than this share "
        "from step to step, the others are not run. 0 is off, 0.1 saves some steps, 0.3 more, and costs detail.",
        **advanced(io.Float.Input),
    )


def weights_input() -> io.Combo.Input:
    """The weights widget of the nodes that load from model folders."""
    return io.Combo.Input(
        "weights",
        options=list(WEIGHTS),
        default="auto",
        optional=True,
        tooltip="How weights rest in memory. auto: 32 bits for a small model, bf16 for a full-size one. fp8: half of "
        "bf16, a little less exact. The same in Load Video Model and Load Control Branch.",
    )
