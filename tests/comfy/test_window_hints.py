"""The prepared maps of a long clip's windows: one window's on the device, the others' in main memory."""

import json
import subprocess

from comfy_server import ROOT

from client.own_server import environment

PACK = """
import importlib.util, json, sys
sys.path.insert(0, sys.argv[1])
import comfy.cli_args
comfy.cli_args.args.cpu = True
import torch
from types import SimpleNamespace
root = sys.argv[2]
pack = importlib.util.spec_from_file_location("pack", root + "/__init__.py", submodule_search_locations=[root])
sys.modules["pack"] = importlib.util.module_from_spec(pack)
pack.loader.exec_module(sys.modules["pack"])
"""
SCRIPT = """
from pack.nodes.host.controls.map_control import MapControl
from pack.nodes.host.windows.predictions import cut_controls, frame_window

class OnDevice(torch.Tensor):
    "Values that lie on an accelerator, as far as this machine can show it."
    def cpu(self):
        return self.as_subclass(torch.Tensor)

def prepared(control):
    return torch.stack([control.cond_hint_original] * 2).as_subclass(OnDevice)

control = SimpleNamespace(cond_hint_original=torch.arange(9.0), cond_hint=None, previous_controlnet=None)
conds, kept, shown = [[{"control": control}]], {}, []
for step in range(2):
    for start in (0, 3, 5):
        with cut_controls(conds, frame_window(range(start, start + 4), 9, 0), 1, kept, torch.device("meta")):
            shown.append(str(control.cond_hint.device) if control.cond_hint is not None else None)
            if control.cond_hint is None:
                control.cond_hint = prepared(control)
kinds = [type(hint).__name__ for hint in kept.values()]
frames = [hint[0].tolist() for hint in kept.values()]
whole = control.cond_hint is None and len(control.cond_hint_original) == 9
own = MapControl("edge", None)
own.cond_hint_original = torch.arange(9.0)
with cut_controls([[{"control": own}]], frame_window(range(4), 9, 0), 1, {}, torch.device("cpu")):
    own_frames = len(own.cond_hint_original)
print(json.dumps({"own": own_frames, "shown": shown, "kinds": kinds, "frames": frames, "whole": whole}))
"""


TILES = """
import pack.nodes.host.windows.tiles as tiles
from pack.nodes.host.windows.predictions import cut_controls, frame_window
from pack.pipeline_core.video.tiles import plan_tiles

resized, upscale = [], tiles.common_upscale
tiles.common_upscale = lambda frames, *size: resized.append(len(frames)) or upscale(frames, *size)
map_of_clip = torch.rand(9, 3, 32, 48)
report = {}
for keeps in (True, False):
    control = SimpleNamespace(
        cond_hint_original=map_of_clip, cond_hint=None, previous_controlnet=None, vae=None,
        compression_ratio=8, upscale_algorithm="nearest-exact", extra_concat_orig=[],
    )
    cache, exact = {}, True
    resized.clear()
    for step in range(3):
        for start in (0, 5):
            for tile in plan_tiles((8, 12), (8, 6), 2):
                window = frame_window(range(start, start + 4), 9, 0, tile)
                with cut_controls([[{"control": control}]], window, 1, cache, torch.device("cpu")):
                    seen = control.cond_hint if control.cond_hint is not None else control.cond_hint_original
                    whole = upscale(map_of_clip[start : start + 4], 96, 64, "nearest-exact", "center")
                    exact = exact and torch.equal(seen, whole[..., tile.columns.start * 8 : tile.columns.stop * 8])
                    if keeps:
                        control.cond_hint = seen
    report["keeps" if keeps else "anew"] = {"resized": list(resized), "exact": exact}
print(json.dumps(report))
"""


def run(comfyui, script):
    comfy, python = comfyui
    command = [python, "-c", PACK + script, str(comfy), str(ROOT)]
    done = subprocess.run(command, cwd=comfy, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_prepared_maps_wait_in_main_memory_and_come_back_to_the_device(comfyui):
    found = run(comfyui, SCRIPT)
    assert found["kinds"] == ["Tensor"] * 3  # none is left where it was made
    assert found["frames"] == [[0, 1, 2, 3], [3, 4, 5, 6], [5, 6, 7, 8]]
    assert found["own"] == 9  # this pack's controls cut their maps themselves
    assert found["shown"] == [None] * 3 + ["meta"] * 3 and found["whole"]


def test_tiles_are_cut_from_a_map_that_is_resized_once_a_window(comfyui):
    """Three steps over two windows of three tiles: once a pass for controls that keep what they prepared, as ComfyUI's
    do; once a step for one that does not. Every tile sees its part of the resized map, to the bit."""
    found = run(comfyui, TILES)
    assert found["keeps"] == {"resized": [4, 4], "exact": True}
    assert found["anew"] == {"resized": [4, 4] * 3, "exact": True}
