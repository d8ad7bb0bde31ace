"""What is rendered of towns: buffers against geometry, both styles against each other, captions and facts."""

import json
from collections import Counter
from pathlib import Path
from random import Random

import pytest
import torch
from rounding import share_of_others

from pipeline_core.world import JOINTS, LOOKS, STYLES, caption, make_scene, raycast, render, render_styles, tags
from pipeline_core.world.materials import INDEX, LAMP_PAINTS
from pipeline_core.world.scene import GROUND
from pipeline_core.world.town.looks import TOWN_LOOKS
from pipeline_core.world.town.motion import Drive
from pipeline_core.world.town.surfaces import describe_town
from pipeline_core.world.town.vehicles import TOWN_CAR_PAINTS

SIZE = (48, 80)
BIG = (96, 160)
BONES = [("hips", "neck"), ("neck", "head")] + [
    (f"{side}_{a}", f"{side}_{b}")
    for side in ("left", "right")
    for a, b in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
]


@pytest.fixture(scope="module")
def town():
    return make_scene(800004, version=2)


@pytest.fixture(scope="module")
def twin(town):
    return render_styles(town, 3, BIG, ("synthetic", "photoreal.day", "photoreal.night"))


def same_to_rounding(a, b):
    """As in test_world: 1e-5 of a value, but for one ray in five hundred that hits an edge or a leaf."""
    return float(((a == b) | ((a - b).abs() <= 1e-5 * b.abs().clamp(min=1))).float().mean()) > 0.998


def world_points(clip, t):
    """World points (H, W, 3) of frame t from its depth and camera alone."""
    camera = clip.camera.pose(t)
    return camera.position[:, None, None] + camera.rays(0.5, 0.5) * clip.depth[t : t + 1].clamp(max=4000)[..., None]


def test_a_seed_gives_the_same_clip_whichever_frames_are_rendered_together(town, twin):
    again = render(make_scene(800004, version=2), 3, BIG)
    assert torch.equal(again.rgb, twin["synthetic"].rgb) and torch.equal(again.depth, twin["synthetic"].depth)
    alone = render_styles(town, range(2, 3), BIG, ("synthetic", "photoreal.day"))
    for style, clip in alone.items():
        assert same_to_rounding(clip.depth[0], twin[style].depth[2])
        assert share_of_others(clip.classes[0], twin[style].classes[2]) < 0.002  # rays along an edge hit either side
        assert float(((clip.rgb[0] - twin[style].rgb[2]).abs() < 1e-4).float().mean()) > 0.995


def test_styles_share_every_buffer_and_every_pixel(twin):
    day, flat = twin["photoreal.day"], twin["synthetic"]
    for name in ("depth", "classes", "instances", "flow"):
        assert torch.equal(getattr(day, name), getattr(flat, name))

    def edges(rgb):
        grey = rgb.mean(-1)
        return grey.diff(dim=-1)[:, :-1].abs() + grey.diff(dim=-2)[..., :-1].abs()

    still = edges(flat.rgb)
    agreement = {
        (dy, dx): float((still * edges(day.rgb).roll((dy, dx), (1, 2)))[:, 3:-3, 3:-3].mean())
        for dy in (-2, -1, 0, 1, 2)
        for dx in (-2, -1, 0, 1, 2)
    }
    assert max(agreement, key=agreement.get) == (0, 0)


def test_depth_and_flow_agree_with_the_next_frame():
    """Follow every pixel: still things arrive at the depth of their world point, and all keep their instance."""
    right = wrong = kept = lost = 0
    for seed in (800000, 800003, 800004, 800011):
        clip = render(make_scene(seed, version=2, fps=8.0), range(4, 6), BIG)
        y, x = torch.meshgrid(torch.arange(BIG[0]), torch.arange(BIG[1]), indexing="ij")
        u = (x + 0.5 + clip.flow[0, ..., 0]).floor().long()
        v = (y + 0.5 + clip.flow[0, ..., 1]).floor().long()
        inside = (u >= 0) & (u < BIG[1]) & (v >= 0) & (v < BIG[0])
        thing = clip.classes.long() * 1_000_000 + clip.instances
        same = thing[0][inside] == thing[1][v[inside], u[inside]]
        kept, lost = kept + int(same.sum()), lost + int((~same).sum())
        still = inside & ((clip.classes[0] == tags.BUILDING) | (clip.classes[0] == tags.ROAD))
        pixels, depth = clip.camera.pose(1).project(world_points(clip, 0))
        flow = pixels[0] - torch.stack([x + 0.5, y + 0.5], -1)
        assert torch.allclose(flow[still], clip.flow[0][still], atol=2e-2)
        seen = clip.depth[1][v.clamp(0, BIG[0] - 1), u.clamp(0, BIG[1] - 1)]
        close = (seen - depth[0]).abs() < 0.06 * depth[0] + 0.05
        right, wrong = right + int((still & close).sum()), wrong + int((still & ~close).sum())
    assert right > 10 * wrong and kept > 8 * lost


def test_flow_of_what_moves_is_the_motion_of_its_body(town):
    clip = render(town, range(10, 12), BIG)
    camera, seconds = town.camera(torch.tensor([10]), *BIG), torch.tensor([10 / 24, 11 / 24])
    hits = raycast.cast(town, camera, seconds[:1])
    checked = 0
    for index in hits.solid.unique().tolist():
        if index < 0 or town.solids[index].motion is None:
            continue
        at = hits.solid[0] == index
        position, rotation = town.solids[index].motion.pose_at(seconds)
        # The hits, taken to the frame of the solid and out again a frame later.
        own = (hits.point[0][at] - position[0]) @ rotation[0]
        pixels, _ = clip.camera.pose(1).project((own @ rotation[1].T + position[1])[None])
        row, column = at.nonzero(as_tuple=True)
        expected = pixels[0] - torch.stack([column + 0.5, row + 0.5], -1)
        near = clip.depth[0][at] > 1.5
        assert torch.allclose(clip.flow[0][at][near], expected[near], atol=5e-2)
        checked += int(near.sum())
    assert checked > 200


def test_ids_follow_their_objects_and_pixels_of_people_lie_at_their_bones():
    at = {name: index for index, name in enumerate(JOINTS)}
    pixels_of_people = cars = 0
    for seed in (800004, 800016, 800017):
        town = make_scene(seed, version=2)
        clip = render(town, range(20, 22), BIG)
        for t in range(2):
            points = world_points(clip, t)[0]
            for instance, joints in clip.joints.items():
                mine = clip.instances[t] == instance
                if bool(mine.any()):
                    a, b = (torch.stack([joints[t, at[pair[i]]] for pair in BONES]) for i in (0, 1))
                    rel, span = points[mine][:, None] - a, b - a
                    share = ((rel * span).sum(-1) / (span * span).sum(-1)).clamp(-0.3, 1.4)
                    assert float((rel - share[..., None] * span).norm(dim=-1).amin(-1).max()) < 0.30
                    assert set(clip.classes[t][mine].tolist()) <= {tags.PEDESTRIAN, tags.RIDER}
                    pixels_of_people += int(mine.sum())
            bodies = [s for s in town.solids if s.material == INDEX["car_body"] and isinstance(s.motion, Drive)]
            for body in bodies:
                mine = (clip.instances[t] == body.instance) & (clip.classes[t] != tags.BICYCLE)
                if bool(mine.any()):
                    position, rotation = body.motion.pose_at(torch.tensor([(20 + t) / 24]))
                    own = ((points[mine] - position[0]) @ rotation[0]).abs()
                    limit = torch.tensor([1.5, 4.0, body.size[2] * 1.05])
                    assert bool((own < limit).all())
                    cars += 1
    assert pixels_of_people > 100 and cars > 10


def test_lit_lamps_lie_in_their_boxes_and_have_their_colour():
    found = 0
    for seed in (800001, 800003, 800007, 800010):
        clip = render(make_scene(seed, version=2), range(30, 31), BIG)
        for light in clip.lights:
            for t, box in enumerate(light["lamp_box"]):
                if box is None or light["visible"][t] < 0.9 or box[3] - box[1] < 4:
                    continue
                y, x = round((box[1] + box[3]) / 2 - 0.5), round((box[0] + box[2]) / 2 - 0.5)
                if 0 <= y < BIG[0] and 0 <= x < BIG[1]:
                    assert torch.allclose(clip.rgb[t, y, x], torch.tensor(LAMP_PAINTS[light["state"][t]]), atol=1e-6)
                    assert clip.instances[t, y, x] == light["instance"]
                    found += 1
    assert found >= 3


def test_ground_pixels_lie_on_the_ground_and_show_its_class(town):
    camera, seconds = town.camera(torch.arange(1), *SIZE), torch.zeros(1)
    hits = raycast.cast(town, camera, seconds)
    point = hits.point[hits.solid == GROUND]
    assert float((point[:, 1] - town.terrain.height(point[:, 0], point[:, 2])).abs().max()) < 5e-3
    surface = describe_town(town, hits, seconds)
    s, d = town.route.locate(point[:, 0], point[:, 2])
    lane = (d.abs() - town.route.swing(s)[0] < town.road_half_width - 0.4) & (d.abs() < 100)
    classes = Counter(surface.tag[hits.solid == GROUND][lane].tolist())
    assert classes[tags.ROAD] + classes[tags.ROAD_LINE] > 0.99 * int(lane.sum()) > 200


def test_windows_on_the_screen_hold_all_that_the_whole_screen_shows(town, monkeypatch):
    camera, seconds = town.camera(torch.arange(2), *SIZE), torch.arange(2) / 24
    hits = raycast.cast(town, camera, seconds)
    light = raycast.sunlit(town, camera, seconds, hits, town.sun())
    everything = ((0, SIZE[0], 0, SIZE[1]), 0.0)
    monkeypatch.setattr(raycast, "_screen_windows", lambda camera, hulls, *size: [everything] * len(hulls))
    whole = raycast.cast(town, camera, seconds)
    assert same_to_rounding(hits.solid, whole.solid) and same_to_rounding(hits.depth, whole.depth)
    assert same_to_rounding(light, raycast.sunlit(town, camera, seconds, whole, town.sun()))


def test_every_look_renders_finite_pictures_and_snow_is_white_underfoot(town):
    assert TOWN_LOOKS.keys() == LOOKS.keys()
    styles = tuple(f"photoreal.{look}" for look in TOWN_LOOKS)
    clips = render_styles(town, 1, SIZE, styles)
    for clip in clips.values():
        assert torch.isfinite(clip.rgb).all() and 0 <= float(clip.rgb.min()) and float(clip.rgb.max()) <= 1
    snow, rain = clips["photoreal.snow"], clips["photoreal.rain"]
    beside = (snow.depth < 20) & ((snow.classes == tags.SIDEWALK) | (snow.classes == tags.TERRAIN))
    assert float(snow.rgb[beside].mean()) > float(rain.rgb[beside].mean()) + 0.2


def test_nothing_touches_the_global_random_state(town):
    before = torch.get_rng_state()
    render(town, 1, SIZE, "photoreal.day")
    assert torch.equal(before, torch.get_rng_state())


def test_captions_tell_what_a_town_shows_and_never_its_colours():
    colours = set(TOWN_CAR_PAINTS) | set(LAMP_PAINTS)
    said = set()
    for seed in (800000, 800001, 800006, 800013):
        town = make_scene(seed, version=2)
        for style in STYLES:
            plain = caption(town, style)
            assert not set(plain.replace(",", " ").split()) & colours
            assert not set(caption(town, style, Random(seed)).replace(",", " ").split()) & colours
            said |= {part.strip() for part in plain.split(",")}
    assert {"a roundabout", "one cyclist", "in winter"} <= said
    assert any(part.startswith("a curve to the") for part in said) and any(part.startswith("going ") for part in said)


def test_facts_are_what_the_camera_will_do():
    bends = 0
    for seed in (800000, 800005, 800012, 800015, 800020):
        town = make_scene(seed, version=2)
        yaw = town.camera(torch.tensor([0, 96]), *SIZE).yaw.double()
        turned = float(torch.remainder(yaw[1] - yaw[0] + torch.pi, 2 * torch.pi) - torch.pi)
        if town.facts["bend"] and not town.facts["roundabout"]:
            assert (turned > 0) == (town.facts["bend"] == "right"), seed
            bends += 1
    assert bends >= 2


def test_the_embedded_tokenizer_spells_every_caption(town):
    """Its vocabulary is bytes and pieces: a word it never saw becomes known pieces, not the unknown token."""
    tokenizers = pytest.importorskip("tokenizers")
    path = Path(__file__).parents[2] / "models" / "embedded" / "tokenizer" / "tokenizer.json"
    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    unknown = json.loads(path.read_text())["model"]["vocab"].get("<unk>")
    for style in STYLES:
        for seed in range(5):
            ids = tokenizer.encode(caption(town, style, Random(seed))).ids
            assert unknown not in ids and len(ids) <= 96
