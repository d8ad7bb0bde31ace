"""Model folders (not files) that a user put into ComfyUI's models folder, for the combos of the nodes."""

from pathlib import Path

import folder_paths

from ..pipeline_core.errors import UserError

NONE = "none"


def transformers_folders(kind: str) -> dict[str, Path]:
    """Name -> path of every folder with a config.json in models/KIND, or in what extra_model_paths.yaml calls KIND.

    The kind is only looked up, not registered: ComfyUI's own table of folders stays as it is.
    """
    registered = folder_paths.folder_names_and_paths.get(kind, ([], set()))[0]
    roots = dict.fromkeys([Path(folder_paths.models_dir) / kind, *map(Path, registered)])
    found = {}
    for root in roots:
        for config in sorted(root.glob("*/config.json")):
            found.setdefault(config.parent.name, config.parent)
    return found


def chosen_folder(kind: str, name: str, input_name: str) -> Path:
    """The folder of that name in models/KIND; UserError naming the input where none is chosen or it is gone."""
    folder = transformers_folders(kind).get(name)
    if folder is None:
        raise UserError(f"{input_name} is {name}: put a transformers folder into models/{kind} and choose it.")
    return folder
