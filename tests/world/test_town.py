"""Towns (version 2 of the world) against closed forms, brute force and each other: street, ground, people, traffic."""

import math
from random import Random

import pytest
import torch

from pipeline_core.errors import UserError
from pipeline_core.world import JOINTS, MAP_SIZES, make_scene, tags
from pipeline_core.world.materials import INDEX
from pipeline_core.world.objects import LANE
from pipeline_core.world.town import people, signs
from pipeline_core.world.town.buildings import SHOPS
from pipeline_core.world.town.glyphs import FONT, bitmap, written
from pipeline_core.world.town.ground import describe_ground
from pipeline_core.world.town.motion import Drive, LaneChange
from pipeline_core.world.town.route import ISLAND, make_route

SEEDS = range(800000, 800006)


@pytest.fixture(scope="module")
def towns():
    return [make_scene(seed, version=2) for seed in SEEDS]


@pytest.fixture(scope="module")
def route():
    return make_route(Random(5), 6, 105.0, 15.0)


def test_a_street_closes_without_a_kink(route):
    s = torch.linspace(0, route.length, 4001, dtype=torch.float64)
    x, z, heading, curvature = route.at(s)
    steps = torch.hypot(x.diff(), z.diff())
    assert torch.allclose(steps, torch.full_like(steps, route.length / 4000), rtol=1e-3)  # arc length is arc length
    turned = torch.remainder(heading.diff() + math.pi, 2 * math.pi) - math.pi
    assert float(turned.abs().max()) < 1.1 * route.length / 4000 * float(curvature.abs().max())
    assert abs(float(turned.sum())) == pytest.approx(2 * math.pi, abs=1e-6)
    assert (float(x[0]), float(z[0])) == pytest.approx((float(x[-1]), float(z[-1])), abs=1e-6)


def test_one_place_is_the_same_as_a_number_and_as_a_tensor(route):
    for s in (-3.0, 0.0, 17.3, 0.7 * route.length, 5.1 * route.length):
        x, z, heading, _ = route.at(torch.tensor(s, dtype=torch.float64), 2.5)
        assert route.place(s, 2.5) == pytest.approx((float(x), float(z), float(heading)), abs=1e-9)


def test_locating_undoes_placing_and_lanes_keep_their_width(route):
    s = torch.linspace(0, route.length - 0.01, 500, dtype=torch.float64)
    middle = torch.stack(route.at(s)[:2])
    for d in (-LANE, 0.5 * LANE, LANE, 2 * LANE):
        x, z, _, _ = route.at(s, d)
        found_s, found_d = route.locate(x, z)
        assert float(route.along(found_s - s, 0.0).abs().max()) < 3e-3 and torch.allclose(
            found_d, torch.full_like(s, d), atol=1e-6
        )
        # No point of the centreline is nearer than d, wherever the street bends.
        gaps = torch.cdist(torch.stack([x, z], -1), middle.T)
        assert float(gaps.min()) > abs(d) - 1e-6 and float(gaps.amin(dim=1).max()) < abs(d) + 0.2


def test_lanes_part_round_the_island_of_a_roundabout(towns):
    found = 0
    for town in towns:
        for middle in town.route.roundabouts:
            cx, cz, _ = town.route.place(middle, 0.0)
            for offset, speed in ((LANE / 2, 5.0), (-LANE / 2, -5.0)):
                drive = Drive(town.route, town.terrain, middle - speed * 6, speed, offset)
                x, z, heading = drive.track(torch.linspace(0, 12, 400))
                r = torch.hypot(x - cx, z - cz)
                assert ISLAND + 1.5 < float(r.min()) < ISLAND + 6
                # The heading is the direction of travel.
                along = torch.atan2(x.diff(), z.diff())
                error = torch.remainder(along - heading[1:] + math.pi, 2 * math.pi) - math.pi
                assert float(error.abs().max()) < 0.05
                found += 1
    assert found >= 2


def test_the_ground_is_painted_where_the_street_runs(towns):
    for town in towns:
        s = torch.linspace(0, town.route.length, 3000)
        edge = town.road_half_width
        quiet = torch.ones_like(s, dtype=torch.bool)
        for middle in [c for c, _ in town.crossings] + list(town.route.roundabouts):
            quiet &= town.route.along(s, middle).abs() > 40
        s = s[quiet]
        asked = ((0.6, tags.ROAD), (edge - 0.25, tags.ROAD_LINE), (edge - 0.6, tags.ROAD), (edge + 1.5, tags.SIDEWALK))
        for d, tag in asked:
            for side in (-1, 1):
                x, z, _, _ = town.route.at(s, side * d)
                _, classes, street = describe_ground(town, x.float(), z.float())
                assert float((classes == tag).float().mean()) > 0.99, (d, tag)
                assert torch.allclose(street[:, 1], torch.full_like(s, d), atol=0.02)


def test_rays_meet_the_ground_first_where_fine_steps_do(towns):
    generator = torch.Generator().manual_seed(0)
    terrain = towns[0].terrain
    origin = torch.rand(3000, 3, generator=generator) * 100 - 50
    origin[:, 1] = terrain.height(origin[:, 0], origin[:, 2]) + 1.5
    direction = torch.randn(3000, 3, generator=generator)
    direction = direction / torch.hypot(direction[:, 0], direction[:, 2])[:, None]
    direction[:, 1] = -0.6 * torch.rand(3000, generator=generator) ** 2 + 0.02
    t = terrain.meet(origin, direction)
    hit = torch.isfinite(t) & (t < 150)
    point = (origin + direction * t[:, None])[hit]
    assert int(hit.sum()) > 2000
    assert float((point[:, 1] - terrain.height(point[:, 0], point[:, 2])).abs().max()) < 2e-3
    first = torch.full_like(t, float("inf"))
    for k in range(1, 1500):
        step = torch.full_like(t, 0.1 * k)
        first = torch.where(torch.isinf(first) & (terrain._gap(origin, direction, step) < 0), step, first)
    # All but a few rays that graze a crest.
    assert float((first[hit] - t[hit] < 0.11).float().mean()) > 0.998
    assert float((t[hit] - first[hit] < 0.05 + 1e-3 * first[hit]).float().mean()) > 0.998


def test_normals_of_the_ground_are_its_slope(towns):
    terrain = towns[1].terrain
    x, z = torch.rand(2, 50, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 200 - 100
    for normal, dx, dz in ((terrain.normal(x, z), 1e-4, 0.0), (terrain.normal(x, z), 0.0, 1e-4)):
        tangent = torch.stack([0 * x + dx, terrain.height(x + dx, z + dz) - terrain.height(x, z), 0 * x + dz], -1)
        assert float((tangent * normal).sum(-1).abs().max()) < 1e-7


def test_people_are_linked_stand_on_the_ground_and_move_with_their_bodies(towns):
    seconds = torch.linspace(0, 4, 33)
    walking = riding = 0
    at = {name: index for index, name in enumerate(JOINTS)}
    for town in towns:
        for figure in town.figures[::3]:
            joints = figure.joints_at(seconds)
            h, (position, rotation) = figure.height, figure.body.pose_at(seconds)
            for side in people.SIDES:
                for a, b, share in (("hip", "knee", people.THIGH), ("knee", "ankle", people.SHIN)):
                    length = (joints[:, at[f"{side}_{a}"]] - joints[:, at[f"{side}_{b}"]]).norm(dim=-1)
                    assert torch.allclose(length, torch.full_like(length, share * h), atol=2e-3), (side, a, b)
            if figure.riding:
                riding += 1
            else:
                ankles = joints[:, [at["left_ankle"], at["right_ankle"]], 1].amin(dim=1) - position[:, 1]
                assert torch.allclose(ankles, torch.full_like(ankles, people.FOOT * h), atol=1e-3)
                walking += 1
            aside = ((joints - position[:, None]) * rotation[:, None, :, 1]).sum(-1)
            assert 0 < float(aside.min()) and float(aside.max()) < 1.15 * h + 0.35
            centre = (joints.mean(1) - position)[:, [0, 2]].norm(dim=-1)
            assert float(centre.max()) < 0.35
    assert walking > 10 and riding >= 3


def test_the_solids_of_a_limb_hang_between_its_joints(towns):
    seconds = torch.tensor([0.3, 1.1])
    figure = towns[0].figures[0]
    joints = figure.joints_at(seconds)
    for solid in towns[0].solids:
        if isinstance(solid.motion, people.Bone) and solid.motion.figure is figure:
            position, rotation = solid.motion.pose_at(seconds)
            upper, lower = joints[:, solid.motion.upper], joints[:, solid.motion.lower]
            assert torch.allclose(position, upper, atol=1e-5)
            length = (upper - lower).norm(dim=-1, keepdim=True)
            assert torch.allclose(position - rotation[..., 1] * length, lower, atol=1e-4)
            assert torch.allclose(rotation.transpose(1, 2) @ rotation, torch.eye(3).expand(2, 3, 3), atol=1e-5)


def test_a_lane_change_moves_a_lane_and_its_pace_is_its_slope():
    change = LaneChange(1.0, 2.0, -LANE)
    time = torch.linspace(0, 4, 4001, dtype=torch.float64)
    moved, pace = change.at(time)
    assert float(moved[0]) == 0 and float(moved[-1]) == pytest.approx(-LANE)
    assert torch.allclose(moved.diff() / time.diff(), 0.5 * (pace[1:] + pace[:-1]), atol=1e-3)


def test_nothing_drives_into_anything_for_half_a_minute():
    """Centres of vehicles in the lanes stay a car's width apart, and what is in front of the ego stays in front."""
    seconds = torch.linspace(0, 30, 61)
    for seed in SEEDS:
        town = make_scene(seed, version=2)
        bodies = {s.motion: s for s in town.solids if s.material == INDEX["car_body"] and isinstance(s.motion, Drive)}
        drives = [town.ego] + [d for d, s in bodies.items() if s.tag != tags.BICYCLE]
        places = torch.stack([torch.stack(d.track(seconds)[:2], -1) for d in drives])
        for i in range(len(drives)):
            gaps = (places[i] - places[i + 1 :]).norm(dim=-1)
            assert not gaps.numel() or float(gaps.min()) > 1.9, (seed, i)


def test_cut_ins_end_in_the_lane_of_the_ego():
    found = 0
    for seed in (800003, 800004, 800014):
        town = make_scene(seed, version=2)
        entries = [entry for entry in town.objects if entry.get("event") == "cut-in"]
        for entry in entries:
            drive = next(s.motion for s in town.solids if s.instance == entry["instance"])
            x, z, _ = drive.track(torch.tensor([0.0, 6.0]))
            s, d = town.route.locate(x, z)
            swing = town.route.swing(s)[0]
            assert float(d[0] - swing[0]) > LANE and float(d[1] - swing[1]) == pytest.approx(LANE / 2, abs=0.05)
            assert float(town.route.along(s[1], float(town.ego.driven(torch.tensor([6.0]))[0]))) > 5
            found += 1
    assert found >= 2


def test_all_that_is_written_can_be_and_reads_from_the_left():
    words = [word for kind in signs.KINDS.values() for word in kind.words] + list(SHOPS)
    assert set("".join(words)) <= set(FONT)
    dots = bitmap("TL")
    assert dots.shape == (7, 11) and dots[0, :5].all() and dots[6, 6:].all() and not dots[0, 7:].any()
    across, up = torch.tensor([-0.99, 0.99]), torch.tensor([0.99, 0.99])
    assert written("TL", across, up, 2.0, 2.0).tolist() == [True, False]


def test_signs_turn_their_painted_face_to_those_who_come():
    for kind in signs.NAMES:
        face = signs.sign_solids(kind, (0.0, 0.0, 0.0), 0.3, 7, Random(1))[1]
        assert face.planes[0][:3] == (0.0, 0.0, -1.0)
        assert all(n[2] > -1 for n in face.planes[1:])


def test_large_maps_are_larger_and_both_go_round():
    lengths = {size: make_scene(1, version=2, map_size=size).route.length for size in MAP_SIZES}
    assert lengths["large"] > 1.6 * lengths["small"]
    town = make_scene(1, version=2)
    once = town.route.length / town.ego.speed
    first, again = town.ego.track(torch.tensor([0.0])), town.ego.track(torch.tensor([once]))
    assert math.dist([float(v) for v in first[:2]], [float(v) for v in again[:2]]) < 0.5


@pytest.mark.parametrize(
    "options",
    [{"version": 3}, {"version": 2, "length": 300.0}, {"version": 2, "map_size": "huge"}, {"map_size": "small"}],
)
def test_bad_requests_are_refused_in_one_sentence(options):
    with pytest.raises(UserError, match="change"):
        make_scene(1, **options)
