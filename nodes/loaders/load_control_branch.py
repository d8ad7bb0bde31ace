"""Load Control Branch: one control branch of a model folder as ComfyUI's CONTROL_NET."""

from comfy_api.latest import io

from ..host.folder.branch import load_control
from ..host.folder.folders import EMBEDDED_NAME, modalities, model_folder, model_folders, stamp
from ..shared.packages import require_packages
from ..shared.schema import search_words
from ..shared.widgets import weights_input


class LoadControlBranch(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismLoadControlBranch",
            display_name="Load Control Branch",
            category="video realism/loaders",
            description="Loads the part of a video model that makes it follow one kind of map: edges, depth or "
            "segmentation. Connect it to Apply ControlNet or ControlNet Condition Stack.",
            inputs=[
                io.Combo.Input(
                    "modality",
                    options=modalities(),
                    default="edge",
                    tooltip="What the map shows. Give the branch maps of this kind only.",
                ),
                io.Combo.Input(
                    "model",
                    options=list(model_folders()),
                    default=EMBEDDED_NAME,
                    tooltip="The folder that Load Video Model loads too; a branch fits only its own model.",
                ),
                weights_input(),
            ],
            outputs=[io.ControlNet.Output(display_name="control_net", tooltip="For Apply ControlNet; no VAE needed.")],
            **search_words("controlnet", "cosmos", "transfer", "edge", "depth", "segmentation"),
        )

    @classmethod
    def fingerprint_inputs(cls, modality, model, weights="auto"):
        folder = model_folders().get(model)
        return stamp(folder) if folder else model

    @classmethod
    def execute(cls, modality, model, weights="auto"):
        require_packages("diffusers", "transformers", "accelerate")
        return io.NodeOutput(load_control(model_folder(model), modality, weights))
