"""The table of families against what is published, and what is recognised from a network's own layout."""

import json
import math
import re
from pathlib import Path

import pytest

from pipeline_core.models.families import (
    CONTROLNET,
    FAMILIES,
    FUN,
    GUIDE,
    VACE,
    control_kind,
    family_of_preset,
    find_family,
)
from pipeline_core.models.folders.preset import Preset
from pipeline_core.models.released.transfer25 import released_preset

WAN = {"image_model": "wan2.1", "model_type": "t2v", "in_dim": 16, "out_dim": 16, "dim": 5120}
# Input channels of the released files, and what they are.
LAYOUTS = [
    ({**WAN}, "wan", ""),
    ({**WAN, "model_type": "i2v", "in_dim": 36}, "wan", ""),
    ({**WAN, "model_type": "vace", "vace_in_dim": 96}, "wan_vace", VACE),
    ({**WAN, "model_type": "i2v", "in_dim": 48}, "wan21_fun", FUN),
    ({**WAN, "in_dim": 52}, "wan22_fun", FUN),
    ({**WAN, "in_dim": 48, "out_dim": 48}, "wan_5b", ""),
    ({**WAN, "in_dim": 148, "out_dim": 48}, "wan22_fun_5b", FUN),
    ({"image_model": "cosmos"}, "cosmos_transfer1", ""),
    ({"image_model": "ltxv"}, "ltxv", GUIDE),
    ({"context_dim": 768, "model_channels": 320}, "sd15", ""),
]


@pytest.mark.parametrize("layout, name, kind", LAYOUTS)
def test_a_network_is_recognised_by_its_layout(layout, name, kind):
    assert find_family(layout).name == name
    assert control_kind(layout) == kind
    assert FAMILIES[name].control in (kind, "branches", CONTROLNET)


@pytest.mark.parametrize(
    "layout", [{}, {"image_model": "flux"}, {**WAN, "model_type": "s2v"}, {"context_dim": 2048, "model_channels": 320}]
)
def test_others_are_not_guessed(layout):
    assert find_family(layout) is None and control_kind(layout) == ""


def test_windows_sizes_and_weights_are_possible_ones():
    for name, family in FAMILIES.items():
        assert name == family.name
        assert family.legal(family.window) and family.pixel_frames(1) == 1
        assert family.window == 1 + (family.window - 1) // family.temporal_ratio * family.temporal_ratio
        assert (
            0 <= family.overlap < family.window and (family.overlap - 1) % family.temporal_ratio == 0 or name == "sd15"
        )
        assert all(side % family.multiple == 0 for side in family.size)
        assert 0 <= family.sigma_min < family.sigma_max and (family.interpolant == "ve" or family.sigma_max == 1)
        assert bool(family.rho) == (family.interpolant == "ve") and bool(family.shift) == (family.interpolant == "flow")
        assert bool(family.control) == bool(family.control_weights) and family.steps > 1
        assert str(family.window) in family.windows()


def test_guidance_that_counts_from_the_conditioned_prediction_gets_its_one():
    """D_c + g (D_c - D_u) = D_u + (1 + g) (D_c - D_u)."""
    assert [FAMILIES[name].cfg for name in ("cosmos_transfer1", "cosmos_transfer25", "wan", "ltxv")] == [8, 4, 5, 3]


def test_the_released_transfer25_folder_says_the_same_as_its_row(tmp_path):
    """A folder as Hugging Face has it, without its weights; the weights of the controls are NVIDIA's driving recipe."""
    index = {"transformer": ["diffusers", "CosmosTransformer3DModel"]}
    index |= {"text_encoder": ["transformers", "Qwen2_5_VLForConditionalGeneration"]}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    for name in ("edge", "depth", "seg", "blur"):
        (tmp_path / f"controlnet_{name}").mkdir()
        config = {"_class_name": "CosmosControlNetModel"}
        (tmp_path / f"controlnet_{name}" / "config.json").write_text(json.dumps(config))
    row, preset = FAMILIES["cosmos_transfer25"], released_preset(tmp_path)
    for name in ("window", "overlap", "size", "temporal_ratio", "spatial_ratio", "steps", "cfg", "control_weights"):
        assert getattr(preset, name) == getattr(row, name), name
    assert (row.window, row.size, row.steps, row.cfg) == (93, (704, 1280), 35, 4)
    assert row.control_weights == {"depth": 0.4, "edge": 0.1, "segmentation": 0.5, "vis": 0.1}


def test_a_model_folder_is_a_family_of_its_own():
    preset = Preset()
    found = family_of_preset(preset)
    assert (found.window, found.overlap, found.cfg, found.rho) == (17, 5, preset.cfg, 7.0)
    assert (found.sigma_min, found.sigma_max, found.multiple) == (0.02, 80.0, 16)
    flow = family_of_preset(Preset(interpolant="flow"))
    assert flow.sigma_max == pytest.approx(80 / 81) and flow.interpolant == "flow"


ROOT = Path(__file__).parents[2]


def test_the_guide_names_every_file_that_a_shipped_graph_loads_and_every_graph_it_names_is_there():
    guide = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    graphs = {path.name.removesuffix(".api.json"): path for path in (ROOT / "workflows" / "api").glob("*.json")}
    loaded = set()
    for path in graphs.values():
        for node in json.loads(path.read_text(encoding="utf-8")).values():
            values = [value for value in node["inputs"].values() if isinstance(value, str)]
            loaded |= {value for value in values if value.endswith(".safetensors")}
    assert len(loaded) > 10
    assert [name for name in sorted(loaded) if name not in guide] == []
    named = set(re.findall(r"\*\*Workflow\*\*: (\w+)", guide))
    assert len(named) == 6 and named <= set(graphs)


def test_shipped_graphs_guide_inverted_noise_as_the_guide_says():
    """cfg 1 to 3 whatever the release used for random noise, more with conflict damping only."""
    guide = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    low, high = map(float, re.search(r"\*\*On inverted noise begin with cfg (\d+) to (\d+)\*\*", guide).groups())
    seen = set()
    for path in (ROOT / "workflows" / "api").glob("*.json"):
        nodes = json.loads(path.read_text(encoding="utf-8"))
        for node in nodes.values():
            if node["class_type"] == "SamplerCustomAdvanced":
                noise, guider = (nodes[node["inputs"][name][0]] for name in ("noise", "guider"))
                if noise["class_type"] == "VideoRealismDDIMInvert" and "cfg" in guider["inputs"]:
                    seen.add(path.name)
                    damped = guider["inputs"].get("conflict_damping", 0.0) > 0
                    assert low <= guider["inputs"]["cfg"] <= (math.inf if damped else high), path.name
    assert len(seen) > 8


def test_the_guide_says_the_windows_of_the_table():
    guide = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    rows = {
        "Cosmos-Transfer1 7B": "cosmos_transfer1",
        "Cosmos-Transfer2.5 2B": "cosmos_transfer25",
        "Wan 2.1 VACE 1.3B, 14B": "wan_vace",
        "Wan 2.2 Fun-Control, VACE-Fun": "wan22_fun",
        "LTX-Video 13B IC-LoRA": "ltxv",
    }
    for title, name in rows.items():
        line = next(line for line in guide.splitlines() if line.startswith(f"| [{title}]"))
        assert line.split("|")[3].strip() == str(FAMILIES[name].window)
