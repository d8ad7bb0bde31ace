"""Draws docs/images/edits.jpg: one frame of a held-out scene as it is edited, and as the world renders what was asked.

python scripts/make_edits.py
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the core, also where it is not installed

SEED, FRAMES, SIZE, FRAME = 930_002, 17, (96, 160), 8
ASKED = {
    "make it look real": "day",
    "make it look real and make it night": "night",
    "make it photorealistic and let it rain": "rain",
    "make it photorealistic and make it dusk": "dusk",
    "make it look real and make it foggy": "fog",
}


def main() -> None:
    import torch

    from pipeline_core.enhance import enhance
    from pipeline_core.job.settings import edit_settings
    from pipeline_core.models.folders.loading import edit_folder, load_video_model
    from pipeline_core.video.sheet import contact_sheet
    from pipeline_core.world import make_scene, render_styles

    looks = [f"photoreal.{look}" for look in ASKED.values()]
    renders = render_styles(make_scene(SEED), range(FRAMES), SIZE, ("synthetic", *looks))
    source, model = renders["synthetic"].rgb, load_video_model(edit_folder())
    edits = [enhance(source, model, edit_settings(said, model.preset, {"detail": 0.0}))[0][FRAME] for said in ASKED]
    rows = {
        ", ".join(f'"{said}"' for said in ASKED): torch.stack([source[FRAME], *edits]),
        "source, and what the world renders for each": torch.stack(
            [source[FRAME], *(renders[look].rgb[FRAME] for look in looks)]
        ),
    }
    path = ROOT / "docs" / "images" / "edits.jpg"
    contact_sheet(rows, columns=len(ASKED) + 1, scale=1.6).save(path, quality=88)
    print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
