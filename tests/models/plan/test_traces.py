"""Traces at full size against published counts, and what this pack costs beside the bare network."""

import json
from dataclasses import replace

import pytest
import torch

from pipeline_core.models.plan import tracing
from pipeline_core.models.plan.cost import Cost
from pipeline_core.models.plan.counts import COUNTS, Costs, as_json, defaults, release_of, scaled
from pipeline_core.models.plan.networks import CONFIGS, Studio, held_bytes, read_config
from pipeline_core.models.plan.releases import RELEASES
from pipeline_core.models.plan.traces import Step, branch_network, cells, decoding, encoding
from pipeline_core.models.released.transfer1 import BASE, CONTROL, NetworkSize, expected_shapes

# Weights that the releases' pages state, or that their published architectures are known to have.
STATED = {
    "sd15": 859_520_964,
    "sd15_branch": 361_279_120,
    "sd15_vae": 83_653_863,
    "clip_l": 123_060_480,
    "wan21_vae": 126_892_531,
}
WEIGHTS = torch.bfloat16


@pytest.fixture(scope="module")
def studio():
    return Studio()


def weights_of(network):
    return sum(weight.numel() for weight in {id(p): p for p in network.parameters()}.values())


@pytest.mark.parametrize("name", STATED)
def test_networks_have_their_stated_weights(studio, name):
    assert weights_of(studio.network(name, WEIGHTS)) == STATED[name]


def test_transfer1_has_the_weights_of_its_released_key_list(studio):
    size = dict(width=4096, heads=32, inner=16384, text=1024, lora=256, latent=17, positions=(120, 120, 128))
    base, control = NetworkSize(**size, blocks=28, answer=16), NetworkSize(**size, blocks=3, hint=128)
    assert (base.kind, control.kind) == (BASE, CONTROL)
    release = RELEASES["cosmos_transfer1"]
    for network, keys in ((studio.network(release.network, WEIGHTS), base), (branch_network(studio, release), control)):
        counted = sum(torch.Size(shape).numel() for shape in expected_shapes(keys).values())
        assert weights_of(network) == counted


def test_every_configuration_says_where_it_was_read_and_is_used():
    used = {part for r in RELEASES.values() for part in (r.network, r.branch, r.vae, r.text) if part}
    assert {path.stem for path in CONFIGS.glob("*.json")} == used
    assert all(read_config(name)["_source"] for name in used)


def test_transfer25_is_as_much_work_as_is_known(studio):
    """1.92 PFLOP a call without controls and the text's projection, counted elsewhere; this one has both inside."""
    release = RELEASES["cosmos_transfer25"]
    bare = Step(studio, release, cells(release, (704, 1280), 93), 0).bare(1)
    assert bare.flops == pytest.approx(1.92e15, rel=0.02)


def test_beside_the_bare_network_the_pack_costs_less_than_two_percent(studio):
    release = RELEASES["cosmos_transfer25"]
    step = Step(studio, release, cells(release, release.size, release.family.window), 1)
    bare, whole = step.bare(1), step.inversion()
    assert whole.operations <= 1.02 * bare.operations
    assert whole.moved <= 1.02 * bare.moved
    assert whole.flops == bare.flops
    assert whole.peak <= 1.05 * bare.peak
    assert (bare.reads, whole.reads) == (0, 1)


def test_prompts_one_by_one_are_the_same_work_in_about_half_the_memory(studio):
    release = RELEASES["wan22_fun"]
    step = Step(studio, release, (3, 30, 52), 1)
    together, apart = step.guided(2.0), step.guided(2.0, together=1)
    assert apart.flops == together.flops
    assert apart.peak < 0.6 * together.peak


def test_a_wan_vae_is_known_from_its_steady_state(studio, monkeypatch):
    """Eight latent frames by two short traces, and traced to the end."""
    release = RELEASES["wan22_fun"]
    short = [run(studio, release, (32, 48), 29) for run in (encoding, decoding)]
    monkeypatch.setattr("pipeline_core.models.plan.traces.STEADY", 100)
    for quick, whole in zip(short, (run(studio, release, (32, 48), 29) for run in (encoding, decoding))):
        assert (quick.flops, quick.operations, quick.peak) == (whole.flops, whole.operations, whole.peak)
        assert quick.moved == pytest.approx(whole.moved, rel=0.01)


def test_the_file_has_every_release_at_its_own_size():
    assert list(json.loads(COUNTS.read_text())) == list(RELEASES)
    for name, release in RELEASES.items():
        costs = defaults(release)
        assert (costs.size, costs.frames, costs.controls) == (release.size, release.family.window, release.controls)
        assert as_json(costs) == json.loads(COUNTS.read_text())[name]


@pytest.mark.parametrize("name", ["cosmos_transfer1", "sd15"])
def test_the_file_says_what_a_trace_says(studio, name):
    """To a thousandth: libraries write their operations anew from version to version."""
    release = RELEASES[name]
    costs = defaults(release)
    step = Step(studio, release, cells(release, release.size, release.family.window), release.controls).inversion()
    assert step.flops == costs.one.flops
    assert step.peak == pytest.approx(costs.one.peak, rel=0.001)
    for weights, held in costs.held.items():
        network = studio.network(release.network, WEIGHTS)
        assert held_bytes(network, weights, release.folder)[0] == held.network
    assert costs.held["bf16"].network == 2 * weights_of(network)


def test_scaling_is_near_a_trace(studio):
    """Half the frames: a quarter of the attention between tokens, half of the rest."""
    release = RELEASES["wan22_fun"]
    whole, half = (Step(studio, release, (frames, 60, 104), 1).inversion() for frames in (8, 4))
    known = defaults(release)
    about = scaled(Costs(**{**vars(known), "one": whole}), 0.5).one
    assert about.flops == pytest.approx(half.flops, rel=0.02)
    assert about.peak == pytest.approx(half.peak, rel=0.02)


def test_a_loaded_network_is_recognised_by_its_weights():
    assert release_of("wan_vace", 17_337_592_896).name == "wan_vace_14b"
    assert release_of("wan_vace", 2_153_972_032).name == "wan_vace_1.3b"
    assert release_of("wan_vace", 1_000_000) is None
    assert release_of("unknown", 17_337_592_896) is None


def test_another_number_of_controls_is_two_steps_and_nothing_else(monkeypatch):
    """What the file has is not traced again: of one map less the step itself, and VAE, text and weights of any."""
    asked = []

    class Stepping:
        def __init__(self, studio, release, shape, controls):
            self.controls = controls

        def inversion(self):
            asked.append(("one", self.controls))
            return Cost(flops=1)

        def guided(self, cfg):
            asked.append(("two", self.controls))
            return Cost(flops=2)

    def never(*_):
        raise AssertionError("traced again")

    monkeypatch.setattr(tracing, "Step", Stepping)
    for name in ("encoding", "decoding", "reading", "_held"):
        monkeypatch.setattr(tracing, name, never)
    release = RELEASES["cosmos_transfer25"]
    known, told = defaults(release), []
    assert tracing.costs_for(release, known.size, known.frames, known.controls, told.append) == known
    less = tracing.costs_for(release, known.size, known.frames, 2, told.append)
    assert asked == [("two", 2), ("one", 1)] and told == ["two", "fewer"]
    assert less == replace(known, controls=2, one=known.fewer, two=Cost(flops=2), fewer=Cost(flops=1))
    more = tracing.costs_for(release, known.size, known.frames, 4, told.append)
    assert asked[2:] == [("one", 4), ("two", 4)] and more.fewer == known.one
