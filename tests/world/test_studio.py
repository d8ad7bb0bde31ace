"""The studio against closed forms: bones that keep their length, soles on the floor, circles that close, alpha."""

import math

import pytest
import torch
from rounding import share_of_others

from pipeline_core.conditions.cameras import read_cameras
from pipeline_core.errors import UserError
from pipeline_core.world import raycast, tags
from pipeline_core.world.studio import stage as stages
from pipeline_core.world.studio.captions import TAG, stage_captions
from pipeline_core.world.studio.cycle import Cycle
from pipeline_core.world.studio.motions import MOTIONS
from pipeline_core.world.studio.paths import Path
from pipeline_core.world.studio.performer import Segment
from pipeline_core.world.studio.render import render_stage
from pipeline_core.world.studio.sets import CRATE_WORDS
from pipeline_core.world.studio.skeleton import (
    AT,
    COCO,
    CONTACTS,
    FOREARM,
    SEGMENTS,
    SHIN,
    SIDES,
    THIGH,
    UPPER_ARM,
    about_x,
    about_y,
    about_z,
)
from pipeline_core.world.studio.stage import BACKDROPS, KINDS, make_stage
from pipeline_core.world.town.glyphs import FONT

SIZE = (72, 120)
HEIGHT = 1.7
BONES = {("hip", "knee"): THIGH, ("knee", "ankle"): SHIN, ("shoulder", "elbow"): UPPER_ARM, ("elbow", "wrist"): FOREARM}


def in_flight(motion, share):
    return any(begin < share % 1 < end for begin, end in motion.flights)


@pytest.mark.parametrize("name", MOTIONS)
def test_bones_keep_their_length_and_nobody_floats_or_sinks(name):
    cycle = Cycle(MOTIONS[name], HEIGHT, phase=0.3)
    seconds = torch.linspace(0, 2.2 * MOTIONS[name].period, 150)
    joints, _ = cycle.at(seconds)
    for side in SIDES:
        for (upper, lower), share in BONES.items():
            length = (joints[:, AT[f"{side}_{upper}"]] - joints[:, AT[f"{side}_{lower}"]]).norm(dim=-1)
            assert torch.allclose(length, torch.full_like(length, share * HEIGHT), atol=1e-9)
    lowest = joints[:, [AT[point] for point in CONTACTS], 1].amin(-1)
    shares = (seconds.double() / MOTIONS[name].period + 0.3).tolist()
    flying = torch.tensor([in_flight(MOTIONS[name], share) for share in shares])
    assert float(lowest[~flying].abs().max()) < 1e-9 and float(lowest.min()) > -1e-9
    assert not flying.any() or float(lowest[flying].max()) > 0.03
    assert float(joints[..., 1].min()) > -1e-6 and float(joints.diff(dim=0).norm(dim=-1).max()) < 1.2


def test_a_flight_is_a_parabola_of_gravity():
    motion = MOTIONS["back flip"]
    (begin, end) = motion.flights[0]
    shares = torch.linspace(begin + 0.01, end - 0.01, 50, dtype=torch.float64)
    hips = Cycle(motion, HEIGHT).at(shares * motion.period)[0][:, AT["hips"], 1]
    step = float(shares[1] - shares[0]) * motion.period
    assert torch.allclose(hips.diff().diff() / step**2, torch.full((48,), -9.81, dtype=torch.float64), atol=1e-5)


def test_after_a_period_everything_begins_anew_somewhere_else():
    for name, turns in (("walk", 0), ("cartwheel", 0), ("front flip", 0), ("pirouette", 0)):
        cycle = Cycle(MOTIONS[name], HEIGHT)
        times = torch.tensor([0.2, 0.2 + MOTIONS[name].period], dtype=torch.float64)
        joints, turned = cycle.at(times)
        here = joints - joints[:, [AT["hips"]]] * torch.tensor([1.0, 0.0, 1.0])
        assert torch.allclose(here[0], here[1], atol=1e-6) and torch.allclose(turned[0], turned[1], atol=1e-6)
    walked = Cycle(MOTIONS["walk"], HEIGHT).at(torch.tensor([0.0, 1.0]))[0][:, AT["hips"]]
    assert 0.7 < float(walked[1, 2] - walked[0, 2]) < 1.6 and abs(float(walked[1, 0] - walked[0, 0])) < 0.02


def test_a_foot_that_carries_alone_hardly_slides():
    cycle, step = Cycle(MOTIONS["walk"], HEIGHT), 1 / 24
    joints = cycle.at(torch.arange(0, 2, step))[0]
    slides = []
    for side in SIDES:
        for part in ("heel", "toe"):
            point = joints[:, AT[f"{side}_{part}"]]
            down = (point[:-1, 1] < 1e-3) & (point[1:, 1] < 1e-3)
            slides += (point.diff(dim=0)[down][:, [0, 2]].norm(dim=-1)).tolist()
    moved = float(joints[:, AT["hips"]].diff(dim=0).norm(dim=-1).mean())
    assert len(slides) > 8 and sorted(slides)[len(slides) // 2] < 0.5 * moved


def test_angles_turn_the_way_their_names_say():
    quarter = torch.tensor(math.pi / 2, dtype=torch.float64)
    down, ahead = (torch.tensor(v, dtype=torch.float64) for v in ((0.0, -1.0, 0.0), (0.0, 0.0, 1.0)))
    assert torch.allclose(about_x(quarter) @ down, ahead, atol=1e-12)
    assert torch.allclose(about_z(quarter) @ down, torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64), atol=1e-12)
    assert torch.allclose(about_y(quarter) @ ahead, torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64), atol=1e-12)


def test_an_orbit_closes_and_looks_at_its_middle():
    path = Path((0.3, 1.1, -0.2), 6.0, 2.0, 0.7, 2 * math.pi, 24)
    camera = path.camera(torch.arange(24), *SIZE)
    eye = torch.eye(3).expand(24, 3, 3)
    assert torch.allclose(camera.rotation.mT @ camera.rotation, eye, atol=1e-5)
    assert torch.allclose(torch.linalg.det(camera.rotation), torch.ones(24), atol=1e-5)
    assert torch.allclose(camera.position[0], camera.position[-1], atol=1e-4)
    assert torch.allclose(camera.rotation[0], camera.rotation[-1], atol=1e-5)
    pixels, depth = camera.project(torch.tensor(path.centre).expand(24, 1, 3))
    assert torch.allclose(pixels[:, 0], torch.tensor([SIZE[1] / 2, camera.horizon_row]).expand(24, 2), atol=1e-3)
    assert torch.allclose(depth, depth[:1].expand(24, 1), atol=1e-4)


def test_cameras_go_where_their_words_say():
    for radius, words in ((5.0, "orbits a half circle to the left"), (0.0, "turns a half circle to the right")):
        path = Path((0.0, 1.0, 0.0), radius, 1.0, 0.4, math.pi, 3)
        assert words in path.phrase()
        camera = path.camera(torch.tensor([0.0, 0.05]), *SIZE)
        moved, turned = camera.position[1] - camera.position[0], camera.rotation[1, :, 2]
        right = camera.rotation[0, :, 0]
        assert float(moved @ right) < -0.1 if radius else float(turned @ right) > 0.01
    assert "stands still" in Path((0.0, 1.0, 0.0), 5.0, 1.0, 0.4, 0.0, 3).phrase()


@pytest.fixture(scope="module")
def people():
    """Takes of three scenes with people, every fifth frame."""
    takes = []
    for seed in (800001, 800002, 800005):
        stage = make_stage(seed, "people", frames=30)
        takes.append((stage, render_stage(stage, range(0, 30, 10), SIZE, quality="low")))
    return takes


def meeting_at(joint):
    """Numbers of the segments on either side of a knee or an elbow."""
    side, _, name = joint.partition("_")
    parts = ("thigh", "shin") if name == "knee" else ("upper_arm", "forearm")
    return {SEGMENTS.index(f"{side}_{part}") for part in parts}


def test_visible_joints_lie_on_the_limbs_that_meet_there(people):
    own = near = hidden = meeting = bent = 0
    for stage, take in people:
        hits = raycast.cast(stage, take.camera, torch.arange(0, 30, 10) / stage.fps)
        for instance, points in take.keypoints.items():
            for frame, places in enumerate(points):
                for joint, (x, y, visible) in enumerate(places.tolist()):
                    if visible == 1:
                        depth = take.camera.pose(frame).project(take.joints[instance][frame, joint][None, None])[1]
                        assert float(take.depth[frame, int(y), int(x)]) < float(depth)
                        hidden += 1
                    if visible != 2:
                        continue
                    solid = int(hits.solid[frame, int(y), int(x)])
                    motion = stage.solids[solid].motion if solid >= 0 else None
                    own += isinstance(motion, Segment) and motion.performer.instance == instance
                    near += 1
                    if isinstance(motion, Segment) and COCO[joint].endswith(("knee", "elbow")):
                        meeting += {motion.index} <= meeting_at(COCO[joint])
                        bent += 1
    assert near > 60 and own > 0.9 * near and hidden > 5 and meeting > 0.6 * bent > 5


def test_keypoints_are_the_joints_projected(people):
    for _, take in people:
        for instance, points in take.joints.items():
            pixels, _ = take.camera.project(points)
            shown = take.keypoints[instance]
            inside = shown[..., 2] > 0
            assert inside.any() and torch.allclose(shown[..., :2][inside], pixels[inside], atol=1e-4)


@pytest.fixture(scope="module")
def orbit():
    stage = make_stage(800001, "orbit", frames=13, sweep=30)
    return stage, render_stage(stage, range(0, 13, 3), SIZE, "photoreal", "low")


def test_depth_and_cameras_put_still_points_where_the_next_frame_shows_them(orbit):
    stage, take = orbit
    cameras = read_cameras({"cameras": take.camera.matrices()}, len(take.depth))
    for at in range(len(take.depth) - 1):
        depth = take.depth[at].clamp(max=1000)
        moved, far = cameras.displacement(depth, at, at + 1)
        y, x = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
        u, v = (x + 0.5 + moved[..., 0]).floor().long(), (y + 0.5 + moved[..., 1]).floor().long()
        inside = (u >= 0) & (u < SIZE[1]) & (v >= 0) & (v < SIZE[0]) & torch.isfinite(take.depth[at])
        there = take.depth[at + 1][v.clamp(0, SIZE[0] - 1), u.clamp(0, SIZE[1] - 1)]
        same = inside & ((there - far).abs() < 0.05 * far)
        assert float(same.sum()) > 0.75 * float(inside.sum())
        back, _ = cameras.displacement(take.depth[at + 1].clamp(max=1000), at + 1, at)
        returned = back[v.clamp(0, SIZE[0] - 1), u.clamp(0, SIZE[1] - 1)]
        # The pixel that is met is not the point itself: half a pixel of either way round.
        apart = (moved + returned)[same].norm(dim=-1)
        assert float(apart.median()) < 0.5 and float((apart < 1).float().mean()) > 0.85


def test_flow_of_an_orbit_is_that_of_its_cameras(orbit):
    stage, take = orbit
    numbers = range(0, 13, 3)
    cameras = [stage.camera(torch.tensor([f, f + 1]), *SIZE).matrices() for f in numbers]
    for index, matrices in enumerate(cameras):
        moved, _ = read_cameras({"cameras": matrices}, 2).displacement(take.depth[index].clamp(max=4000), 0, 1)
        still = torch.isfinite(take.depth[index]) & (take.depth[index] < 100)
        assert torch.allclose(moved[still], take.flow[index][still], atol=0.02)


@pytest.mark.parametrize("style", ["synthetic", "photoreal"])
def test_alpha_is_what_two_backgrounds_say_and_lays_the_foreground(style, monkeypatch):
    """Smith & Blinn 1996: 1 - alpha is how much of a change of the background comes through."""
    stage = make_stage(800000, "layers", frames=4)
    takes = []
    for colour in ((0.9, 0.2, 0.1), (0.2, 0.6, 0.8)):
        monkeypatch.setitem(stages.BACKDROPS, stage.backdrop, colour)
        takes.append((torch.tensor(colour), render_stage(stage, 2, SIZE, style)))
    (first, one), (second, other) = takes
    through = ((one.rgb - other.rgb) / (first - second)).mean(-1)
    assert torch.allclose(1 - through, one.alpha, atol=1e-4)
    laid = one.alpha[..., None] * one.foreground + (1 - one.alpha[..., None]) * first
    assert torch.allclose(laid, one.rgb, atol=1e-6)
    outside = one.alpha == 0
    assert float(outside.float().mean()) > 0.5 and torch.equal(one.rgb[outside], first.expand(int(outside.sum()), 3))
    edge = (one.alpha > 0.1) & (one.alpha < 0.9)
    assert float((one.alpha > 0.99).float().mean()) > 0.001 and int(edge.sum()) > 30


def test_alpha_is_the_share_of_a_pixel_that_many_rays_meet():
    stage = make_stage(800000, "layers", frames=4)
    take = render_stage(stage, 1, SIZE)
    camera, seconds = stage.camera(torch.tensor([0]), *SIZE), torch.zeros(1)
    grid = [(i + 0.5) / 6 for i in range(6)]
    covered = sum((raycast.cast(stage, camera, seconds, x, y).solid >= 0).float() for x in grid for y in grid) / 36
    apart = (covered - take.alpha).abs()
    assert float(apart.max()) <= 0.4 and float(apart[covered > 0].mean()) < 0.05
    assert float((covered - take.alpha).sum().abs() / covered.sum()) < 0.01


def test_frames_are_the_same_whichever_are_rendered_together():
    stage = make_stage(800003, "turn", frames=20)
    together, alone = (render_stage(stage, numbers, SIZE, "photoreal") for numbers in (range(3, 6), range(5, 6)))
    assert share_of_others(together.instances[2], alone.instances[0]) < 0.003
    assert float(((together.rgb[2] - alone.rgb[0]).abs() < 1e-3).float().mean()) > 0.99
    again = render_stage(make_stage(800003, "turn", frames=20), range(5, 6), SIZE, "photoreal")
    assert torch.equal(again.rgb, alone.rgb)


def test_assets_and_rays_are_two_qualities(people):
    plain, fine = (make_stage(800001, "people", frames=30, assets=assets) for assets in ("low", "high"))
    assert len(plain.solids) < 0.7 * len(fine.solids) and plain.path == fine.path
    low = people[0][1]
    high = render_stage(fine, range(0, 10, 10), SIZE, quality="high")
    assert share_of_others(high.instances[0], low.instances[0]) < 0.002
    values = [len(take.rgb[0].flatten(0, 1).unique(dim=0)) for take in (low, high)]
    assert values[1] > values[0]  # edges are between colours


def test_captions_say_what_is_there_and_brief_ones_leave_the_motion_out():
    for kind in KINDS:
        for seed in range(800000, 800006):
            stage = make_stage(seed, kind)
            words = stage_captions(stage, "photoreal.dusk")
            assert stage.path.phrase() in words["fine"] and "camera" not in words["brief"] and TAG not in words["fine"]
            for entry in stage.objects:
                if entry["kind"] == "person":
                    assert MOTIONS[entry["motion"]].phrase in words["fine"]
                    assert MOTIONS[entry["motion"]].phrase not in words["brief"]
            if stage.backdrop:
                assert stage.backdrop in BACKDROPS and f"plain {stage.backdrop} background" in words["brief"]
            else:
                assert "dusk" in words["fine"]
    assert set("".join(CRATE_WORDS)) <= set(FONT)


def test_people_have_their_class_and_seeds_their_own_scene(people):
    stage, take = people[0]
    assert set(take.instances[take.classes == tags.PEDESTRIAN].unique().tolist()) <= set(take.keypoints)
    assert make_stage(800001, "people").solids != make_stage(800002, "people").solids


@pytest.mark.parametrize(
    "options",
    [{"kind": "rain"}, {"assets": "best"}, {"motions": ("fly",)}, {"motions": ()}, {"sweep": 400}, {"frames": 0}],
)
def test_bad_requests_are_refused_in_one_sentence(options):
    with pytest.raises(UserError, match="change"):
        make_stage(1, **{"kind": "people", **options})
