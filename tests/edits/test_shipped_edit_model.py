"""The shipped edit model does what it is asked, on a scene it was neither trained nor tuned on (a validation seed)."""

import json
from dataclasses import replace

import torch

from pipeline_core.enhance import enhance
from pipeline_core.job.settings import edit_settings
from pipeline_core.models.folders.layout import SHARES
from pipeline_core.models.folders.loading import EMBEDDED, EMBEDDED_EDIT, load_video_model
from pipeline_core.models.folders.preset_file import read_preset
from pipeline_core.world import make_scene, render_styles
from training.edits.learning import PRESET

ASKED = {"make it look real and make it night": "night", "make it photorealistic and let it rain": "rain"}


def psnr(a, b):
    return float(-10 * torch.log10((a - b).square().mean()))


def test_an_edit_comes_nearest_to_the_look_that_is_asked_for():
    styles = ("synthetic", *(f"photoreal.{look}" for look in ASKED.values()))
    renders = render_styles(make_scene(850_001), 5, (96, 160), styles)
    source, model = renders["synthetic"].rgb, load_video_model(EMBEDDED_EDIT)
    model = replace(model, preset=replace(model.preset, window=5, overlap=1))
    for said, look in ASKED.items():
        edit, report = enhance(source, model, edit_settings(said, model.preset, {"steps": 10, "detail": 0.0}))
        near = {style: psnr(edit, render.rgb) for style, render in renders.items()}
        assert max(near, key=near.get) == f"photoreal.{look}"
        assert near[f"photoreal.{look}"] > psnr(source, renders[f"photoreal.{look}"].rgb) + 3
        assert report.windows[0]["inversion"]["calls"] == 10  # one a step


def test_its_folder_says_what_the_training_writes():
    assert read_preset(EMBEDDED_EDIT) == replace(read_preset(EMBEDDED), **PRESET)
    index = json.loads((EMBEDDED_EDIT / "model_index.json").read_text(encoding="utf-8"))
    assert index[SHARES] == EMBEDDED.name
