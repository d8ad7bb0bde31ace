"""The world's own networks in models/perception: where they are, and what they are called."""

from __future__ import annotations

from pathlib import Path

OWN = Path(__file__).resolve().parents[2] / "models" / "perception"
# Name of a model in options and nodes -> the network that can take its place.
NETWORKS = {"depth_model": "depth", "segmentation_model": "segmentation", "detection_model": "detector"}


def own_folder(network: str) -> Path | None:
    """The folder of "depth", "segmentation", "detector" or "text_image"; None where it is not there."""
    folder = OWN / network
    return folder if (folder / "config.json").is_file() else None


def model_name(folder: Path) -> str:
    """What a report calls the model of a folder."""
    return f"models/perception/{folder.name}, the world's own network" if folder.parent == OWN else folder.name
