"""The prepared maps of a long clip's windows: one window's on the device, the others' in main memory."""

import json
import subprocess

from comfy_server import ROOT

from client.own_server import environment

SCRIPT = """
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


def test_prepared_maps_wait_in_main_memory_and_come_back_to_the_device(comfyui):
    comfy, python = comfyui
    command = [python, "-c", SCRIPT, str(comfy), str(ROOT)]
    done = subprocess.run(command, cwd=comfy, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert found["kinds"] == ["Tensor"] * 3  # none is left where it was made
    assert found["frames"] == [[0, 1, 2, 3], [3, 4, 5, 6], [5, 6, 7, 8]]
    assert found["own"] == 9  # this pack's controls cut their maps themselves
    assert found["shown"] == [None] * 3 + ["meta"] * 3 and found["whole"]
