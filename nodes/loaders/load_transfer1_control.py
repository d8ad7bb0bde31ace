"""Load Transfer1 Control: a released Cosmos-Transfer1 control file, converted to safetensors, as CONTROL_NET."""

from comfy_api.latest import io, ui

from ...pipeline_core.models.released.transfer1 import modality_of
from ..host.controls.transfer1 import FP8, load_branch
from ..host.controls.transfer1_control import Transfer1Control
from ..host.paths import CONTROLNETS, native_file, native_files
from ..shared.schema import search_words


class LoadTransfer1Control(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismLoadTransfer1Control",
            display_name="Load Transfer1 Control",
            category="video realism/loaders",
            description="Loads the part of NVIDIA's Cosmos-Transfer1 that makes the 7B model follow one kind of map: "
            "edges, depth, segmentation, a blurred clip or keypoints. Connect it to Apply ControlNet or to ControlNet "
            "Condition Stack.",
            inputs=[
                io.Combo.Input(
                    "control_file",
                    options=native_files(CONTROLNETS),
                    tooltip="A converted control in models/controlnet, such as edge_control.safetensors. Convert the "
                    "released .pt file with: python -m pipeline_core convert edge_control.pt",
                ),
                io.Combo.Input(
                    "weight_dtype",
                    options=["default", FP8],
                    default="default",
                    tooltip="Type of the weights in memory. default: as in the file. fp8_e4m3fn: half of bfloat16, a "
                    "little less precise.",
                ),
            ],
            outputs=[
                io.ControlNet.Output(display_name="control_net", tooltip="Needs the Cosmos VAE where it is applied."),
            ],
            **search_words("cosmos", "transfer1", "controlnet", "edge", "depth", "segmentation", "vis", "nvidia"),
        )

    @classmethod
    def fingerprint_inputs(cls, control_file, weight_dtype):
        if control_file not in native_files(CONTROLNETS):
            return control_file
        return native_file(CONTROLNETS, control_file).stat().st_mtime_ns

    @classmethod
    def execute(cls, control_file, weight_dtype) -> io.NodeOutput:
        path = native_file(CONTROLNETS, control_file)
        branch = load_branch(path, weight_dtype)
        size, modality = branch.model.size, modality_of(path.name) or path.stem
        held = sum(weight.numel() * weight.element_size() for weight in branch.model.parameters())
        text = (
            f"{modality} control of Cosmos-Transfer1: {size.blocks} blocks of width {size.width}, {held / 1e9:.2f} GB\n"
            "Its MODEL is the converted base_model, its VAE the Cosmos CV8x8x8, its text encoder the old T5 XXL."
        )
        return io.NodeOutput(Transfer1Control(modality, branch), ui=ui.PreviewText(text))
