"""Files and folders that a graph may name: what lies in ComfyUI's input, output and models folders, nothing else."""

import os
from collections.abc import Iterable
from pathlib import Path

import folder_paths

from ...pipeline_core.errors import UserError

NONE = "none"
INPUT = "(input)"  # the input folder itself, among the folders in it
EXAMPLES = Path(__file__).resolve().parents[2] / "example_clips"  # clips and a recording that come with the pack
DRIVES = "drives"  # the folder in it with what a simulator gives: a clip and its recording
EXAMPLE = "example: "  # begins the names of those, which no file in the input folder can have on every system
OTHERS = {"3d", "clipspace", "painter", "pasted", "threed", "webcam"}  # ComfyUI's own in its input folder
# Kinds of model: a folder below ComfyUI's models folder, or what extra_model_paths.yaml calls so.
DEPTH, SEGMENTATION = "depth_estimation", "semantic_segmentation"
DETECTION, TRACKING = "object_detection", "video_segmentation"
DETECTOR_FILES, CONTROLNETS, LORAS = "controlnet_aux", "controlnet", "loras"
FLOW, METRICS = "optical_flow", "metrics"
DEEPEST = 3  # folders below the input folder that are offered as recordings


def model_roots(kind: str) -> list[Path]:
    """Where models of a kind may lie. The kind is looked up, not registered: ComfyUI's own table stays as it is."""
    registered = folder_paths.folder_names_and_paths.get(kind, ([], set()))[0]
    return list(dict.fromkeys([Path(folder_paths.models_dir) / kind, *map(Path, registered)]))


def transformers_folders(kind: str) -> dict[str, Path]:
    """Name -> path of every folder with a config.json among the models of a kind."""
    folders = {}
    for root in model_roots(kind):
        for config in sorted(root.glob("*/config.json")):
            folders.setdefault(config.parent.name, config.parent)
    return folders


def chosen_folder(kind: str, name: str, input_name: str) -> Path:
    """The folder of that name in models/KIND; UserError naming the input where none is chosen or it is gone."""
    folder = transformers_folders(kind).get(name)
    if folder is None:
        raise UserError(f"{input_name} is {name}: put a transformers folder into models/{kind} and choose it.")
    return folder


def optional_folder(kind: str, name: str, input_name: str) -> Path | None:
    """As `chosen_folder`, None for none."""
    return None if name == NONE else chosen_folder(kind, name, input_name)


def weight_files(kind: str) -> dict[str, Path]:
    """Name -> path of the .safetensors files among the models of a kind."""
    return {path.name: path for root in model_roots(kind) for path in sorted(root.glob("*.safetensors"))}


def optional_file(kind: str, name: str, input_name: str) -> Path | None:
    """The weights of that name in models/KIND, None for none; UserError naming the input where they are gone."""
    file = weight_files(kind).get(name)
    if file is None and name != NONE:
        raise UserError(f"{input_name} is {name}: put a .safetensors file into models/{kind} and choose it.")
    return file


def folder_menu(kind: str) -> list[str]:
    """What a menu of optional transformers folders shows."""
    return _menu(kind, transformers_folders(kind))


def file_menu(kind: str) -> list[str]:
    """What a menu of optional weights shows."""
    return _menu(kind, weight_files(kind))


def _menu(kind: str, names: Iterable[str]) -> list[str]:
    """none, and where there is nothing else, what to do about it: who chooses that is told so again."""
    return [NONE, *(names or [f"(put one into models/{kind})"])]


def diffusers_roots() -> list[Path]:
    """Where folders in diffusers' format may lie."""
    return [Path(root) for root in folder_paths.get_folder_paths("diffusers")]


def native_files(kind: str) -> list[str]:
    """What a menu of a kind of ComfyUI's own files offers, such as CONTROLNETS."""
    return folder_paths.get_filename_list(kind)


def native_file(kind: str, name: str) -> Path:
    """The path behind a name of `native_files`; ComfyUI's own FileNotFoundError where it is gone."""
    return Path(folder_paths.get_full_path_or_raise(kind, name))


def example_clips() -> dict[str, Path]:
    """Name -> path of the clips that come with the pack."""
    return {path.stem: path for path in sorted(EXAMPLES.rglob("*.mp4"), key=lambda path: path.stem)}


def example_clip(name: str) -> Path | None:
    """The path behind an example's name in `input_clips`; None for any other name."""
    return example_clips().get(name.removeprefix(EXAMPLE)) if name.startswith(EXAMPLE) else None


def input_clips() -> list[str]:
    """Names of the clips in ComfyUI's input folder, then of the pack's examples; a graph can name nothing else."""
    folder = folder_paths.get_input_directory()
    names = [name for name in os.listdir(folder) if os.path.isfile(os.path.join(folder, name))]
    own = sorted(folder_paths.filter_files_content_types(names, ["video"]))
    return own + [EXAMPLE + name for name in example_clips()]


def input_clip(name: str, input_name: str) -> Path:
    """The path behind a name of `input_clips`; UserError naming the input for any other."""
    if name not in input_clips():
        raise UserError(f"The clip {name} is not in ComfyUI's input folder: choose another one in {input_name}.")
    return example_clip(name) or Path(folder_paths.get_input_directory()) / name


def clip_folders() -> dict[str, Path]:
    """Name -> path of what may hold clips: the input folder itself as INPUT, the folders of `recordings`, the pack's
    example of such a folder."""
    return {INPUT: Path(folder_paths.get_input_directory()), **recordings(), EXAMPLE + DRIVES: EXAMPLES / DRIVES}


def recordings() -> dict[str, Path]:
    """Name -> path of the folders in ComfyUI's input folder, a few levels deep, then of the pack's examples.

    Left out are ComfyUI's own folders and those inside a recording.
    """
    root = Path(folder_paths.get_input_directory())
    paths = {}
    for path, folders, files in os.walk(root):
        inside = {"buffers.json", "manifest.json"} & set(files) or len(Path(path).relative_to(root).parts) >= DEEPEST
        hidden = OTHERS if Path(path) == root else set()
        folders[:] = [] if inside else sorted(name for name in folders if name[0] != "." and name not in hidden)
        paths |= {(Path(path) / name).relative_to(root).as_posix(): Path(path) / name for name in folders}
    examples = {EXAMPLE + path.name: path for path in sorted(EXAMPLES.rglob("*_buffers"))}
    return dict(sorted(paths.items())) | examples


def output_place(prefix: str) -> tuple[Path, str, int, str]:
    """(folder, file name without number, next free number, folder below the output folder) for a filename_prefix."""
    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(prefix, folder_paths.get_output_directory())
    return Path(folder), name, counter, subfolder


def new_output_folder(prefix: str) -> tuple[Path, str]:
    """A folder PREFIX_00001 in ComfyUI's output folder that is not there yet, and its name below that; never outside.

    The folder above it is made."""
    folder, name, counter, subfolder = output_place(prefix)
    target = folder / f"{name}_{counter:05}_"
    while target.exists():
        counter += 1
        target = folder / f"{name}_{counter:05}_"
    target.parent.mkdir(parents=True, exist_ok=True)
    return target, str(Path(subfolder) / target.name)


def output_folder(name: str) -> Path:
    """The folder of that name in ComfyUI's output folder, there or not yet; UserError for one outside it."""
    root = Path(folder_paths.get_output_directory()).resolve()
    try:
        path = (root / name.strip()).resolve()
    except (OSError, ValueError):
        path = root
    if path == root or root not in path.parents:
        raise UserError(f"{name!r} is no folder below ComfyUI's output folder: give a name such as dataset.")
    return path
