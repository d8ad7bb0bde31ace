"""Where model folders are found: the embedded one, and those under ComfyUI's models/diffusers."""

from pathlib import Path

from ....pipeline_core.errors import UserError
from ....pipeline_core.models.folders.layout import branch_parts, is_edit_folder, is_model_folder, shared_folder
from ....pipeline_core.models.folders.loading import EMBEDDED, EMBEDDED_EDIT, edit_folder
from ..paths import diffusers_roots

EMBEDDED_NAME, EDIT_NAME = "embedded", "embedded_edit"
MODALITIES = ("edge", "depth", "segmentation")


def model_folders() -> dict[str, Path]:
    """Name in the menu -> folder, for every folder whose model_index.json names a Cosmos transformer."""
    folders = {EMBEDDED_NAME: EMBEDDED}
    if is_edit_folder(EMBEDDED_EDIT):
        folders[EDIT_NAME] = EMBEDDED_EDIT
    for root in diffusers_roots():
        for index in sorted([*root.glob("*/model_index.json"), *root.glob("*/*/model_index.json")]):
            if is_model_folder(index.parent):
                folders.setdefault(index.parent.relative_to(root).as_posix(), index.parent)
    return folders


def model_folder(name: str) -> Path:
    """The folder behind a name of the menu; a graph can name nothing else. UserError for an unknown one."""
    known = model_folders()
    if name not in known:
        raise UserError(
            f"The model {name!r} was not found; choose one of {', '.join(known)} in the input model, or put the folder "
            "into ComfyUI's models/diffusers."
        )
    return known[name]


def edit_models() -> list[str]:
    """Names in the menu of models that edit by instruction; the embedded one's stands there in any case."""
    edits = [name for name, folder in model_folders().items() if is_edit_folder(folder)]
    return list(dict.fromkeys([EDIT_NAME, *edits]))


def edit_model_folder(name: str) -> Path:
    """The folder behind one of `edit_models`. UserError for any other, and where the embedded one is not there."""
    return edit_folder(None if name == EDIT_NAME else model_folder(name))


def modalities() -> list[str]:
    """Kinds of control the menu offers: the three every prepared folder has, then what the folders found add."""
    extra = {name for folder in model_folders().values() for name in branch_parts(folder)} - set(MODALITIES)
    return [*MODALITIES, *sorted(extra)]


def stamp(folder: Path) -> str:
    """Changes when a file of the folder or of one it shares parts with does: a graph then loads the model again."""
    folders = [folder, *filter(None, [shared_folder(folder)])]
    files = (path for each in folders for path in sorted([*each.glob("*.json"), *each.glob("*/*")]) if path.is_file())
    return ",".join(f"{path.relative_to(folder.parent)}:{path.stat().st_mtime_ns}" for path in files)
