"""What the nodes that do the whole job ask for alike."""

from comfy_api.latest import io

from .native.folders import EMBEDDED_NAME, model_folders


def dial_inputs() -> list:
    """realism, faithfulness, prompt and model: what people change first."""
    dial = {"default": 0.5, "min": 0.0, "max": 1.0, "step": 0.01, "round": 0.001}
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


def pass_inputs() -> list:
    """seed and steps of a pass."""
    return [
        io.Int.Input(
            "seed",
            default=0,
            min=0,
            max=2**53 - 1,
            control_after_generate=True,
            tooltip="Of the random noise; starts that invert the source use none.",
        ),
        io.Int.Input("steps", default=0, min=0, max=1000, tooltip="Model steps of one pass. 0: the model's preset."),
    ]
