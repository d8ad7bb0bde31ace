"""Turn a released Cosmos-Transfer1 checkpoint (.pt) into safetensors, without running code that a pickle may hold."""

import argparse
from pathlib import Path

from ..doors import check_paths, writable
from ..errors import UserError
from ..models.released.convert import DTYPES, PARTS, convert_transfer1
from ..models.released.transfer1 import CONTROL


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, help="base_model.pt, edge_control.pt, depth_control.pt, ...")
    parser.add_argument("-o", "--output", type=Path, help="the file to write; default: SOURCE.safetensors beside it")
    parser.add_argument("--part", choices=PARTS, default="auto", help="which network, where the file holds both")
    parser.add_argument(
        "--dtype",
        choices=list(DTYPES),
        default="keep",
        help="type of the weights; fp8_e4m3fn halves a bf16 file and rounds the blocks' matrices",
    )


def run(options: argparse.Namespace) -> None:
    target = options.output or options.source.with_suffix(".safetensors")
    check_paths({"the source": options.source}, {"-o": target})
    if writable(target, "the converted checkpoint", suffixes=(".safetensors",)).suffix != ".safetensors":
        raise UserError(f"The output {target.name} does not end in .safetensors: change -o.")
    checkpoint = convert_transfer1(options.source, target, options.part, options.dtype)
    size, control = checkpoint.size, checkpoint.size.kind == CONTROL
    what = f"{checkpoint.modality} control".strip() if control else "base model"
    print(
        f"Cosmos-Transfer1 {what}: {size.blocks} blocks of width {size.width}, {checkpoint.weights / 1e9:.2f} billion "
        f"weights ({str(checkpoint.dtype).removeprefix('torch.')}), {checkpoint.bytes / 1e9:.2f} GB in "
        f"{checkpoint.path}"
    )
    print(f"ComfyUI looks for it in models/{'controlnet' if control else 'diffusion_models'}.")
