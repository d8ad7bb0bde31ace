"""The world against closed forms (planes, boxes, projection), brute force (shadows) and its own promises."""

import math
from dataclasses import replace

import pytest
import torch
from rounding import share_of_others

from pipeline_core.errors import UserError
from pipeline_core.world import (
    LOOKS,
    STYLES,
    RenderedBuffers,
    caption,
    drive_scene,
    make_scene,
    raycast,
    render,
    render_styles,
    tags,
)
from pipeline_core.world.materials import CAR_PAINTS, INDEX, LAMP_PAINTS
from pipeline_core.world.shapes import Solid, box_planes, intersect, to_local, to_world
from pipeline_core.world.surfaces import describe

SIZE = (48, 80)


def same_to_rounding(a, b):
    """What batches of other shapes may differ by: 1e-5 of a value, but for one ray in a thousand that hits an edge."""
    return float(((a == b) | ((a - b).abs() <= 1e-5 * b.abs().clamp(min=1))).float().mean()) > 0.999


@pytest.fixture(scope="module")
def scene():
    return make_scene(3)


@pytest.fixture(scope="module")
def twin(scene):
    return render_styles(scene, 3, SIZE, ("synthetic", "photoreal.day", "photoreal.night"))


def test_a_seed_gives_the_same_clip_and_another_seed_does_not(scene, twin):
    again = render(make_scene(3), 3, SIZE)
    assert torch.equal(again.rgb, twin["synthetic"].rgb) and torch.equal(again.depth, twin["synthetic"].depth)
    assert not torch.equal(render(make_scene(4), 1, SIZE).rgb, again.rgb[:1])


def test_nothing_touches_the_global_random_state(scene):
    before = torch.get_rng_state()
    render(scene, 1, (32, 48), "photoreal")
    assert torch.equal(before, torch.get_rng_state())


def test_a_longer_street_begins_with_the_same_things(scene):
    longer = make_scene(3, length=600.0)
    assert set(scene.solids) <= set(longer.solids)
    assert torch.equal(render(longer, 1, SIZE).rgb, render(scene, 1, SIZE).rgb)


def test_any_range_of_frames_is_cut_from_the_same_drive(scene):
    whole = render(scene, 8, SIZE, "photoreal.rain")
    part = render(scene, range(6, 8), SIZE, "photoreal.rain")
    assert same_to_rounding(part.rgb, whole.rgb[6:]) and same_to_rounding(part.flow, whole.flow[6:])


def test_a_frame_is_the_same_whichever_others_are_rendered_with_it():
    """Seed 11 has a house that comes within the drawing distance between frames 5 and 6."""
    far = make_scene(11)
    together, alone = render(far, range(5, 7), (96, 160)), render(far, range(5, 6), (96, 160))
    later = render(far, range(6, 7), (96, 160))
    assert same_to_rounding(together.rgb, torch.cat([alone.rgb, later.rgb]))
    assert same_to_rounding(together.depth, torch.cat([alone.depth, later.depth]))


def test_what_reaches_behind_the_camera_is_cast_as_by_brute_force(scene, monkeypatch):
    """Windows cut at the near plane must hold all that the whole screen shows, shadows too."""
    camera, seconds = scene.camera(torch.arange(2), 48, 80), torch.zeros(2)
    sun = scene.sun()
    hits = raycast.cast(scene, camera, seconds)
    light = raycast.sunlit(scene, camera, seconds, hits, sun)
    cut = []
    real = raycast._cut_at_near_plane
    monkeypatch.setattr(raycast, "_cut_at_near_plane", lambda *given: cut.append(1) or real(*given))
    raycast.cast(scene, camera, seconds)
    assert cut
    everything = ((0, 48, 0, 80), 0.0)
    monkeypatch.setattr(raycast, "_screen_windows", lambda camera, hulls, *size: [everything] * len(hulls))
    whole = raycast.cast(scene, camera, seconds)
    assert same_to_rounding(hits.solid, whole.solid) and same_to_rounding(hits.depth, whole.depth)
    assert same_to_rounding(light, raycast.sunlit(scene, camera, seconds, whole, sun))


def test_a_drive_of_any_length_and_rate_begins_like_the_plain_scene(scene):
    for frames, fps in ((3, 24.0), (500, 24.0)):
        assert torch.equal(render(drive_scene(3, frames, fps), 1, SIZE).rgb, render(scene, 1, SIZE).rgb)
    street = drive_scene(3, 500, 24.0)
    assert max(s.position[2] for s in street.solids) >= street.start + street.speed * 500 / 24 + 100
    with pytest.raises(UserError, match="change fps"):
        drive_scene(3, 5, 0)


def test_a_render_reads_like_the_buffers_folder_written_from_it(twin, tmp_path):
    from pipeline_core.conditions.buffers import open_buffers, write_buffers
    from pipeline_core.video.media import write_clip

    clip = twin["synthetic"]
    write_clip(tmp_path / "clip.mp4", clip.rgb, 24)
    write_buffers(tmp_path / "buffers", tmp_path / "clip.mp4", clip)
    folder, memory = open_buffers(tmp_path / "buffers", tmp_path / "clip.mp4"), RenderedBuffers(clip)
    sizes = [(b.frames, b.height, b.width, set(b.channels)) for b in (folder, memory)]
    assert sizes[0] == sizes[1] and folder.scene["description"] == memory.scene["description"]
    assert torch.allclose(folder.depth(1, 3), memory.depth(1, 3), atol=1e-4)
    assert torch.equal(folder.classes(1, 3), memory.classes(1, 3))
    assert torch.equal(folder.instances(), memory.instances())
    assert torch.allclose(folder.flow(0, 2), memory.flow(0, 2), atol=1 / 64, equal_nan=True)


def test_road_depth_is_the_closed_form_of_a_plane(scene, twin):
    camera = scene.camera(torch.arange(3), *SIZE)
    rows = torch.arange(SIZE[0]) + 0.5
    plane = 1.5 * camera.focal / (rows - camera.horizon_row)
    road = twin["synthetic"].classes == tags.ROAD
    expected = plane[None, :, None].expand(3, -1, SIZE[1])[road]
    assert int(road.sum()) > 1000
    assert torch.allclose(twin["synthetic"].depth[road], expected, rtol=1e-4)


def test_the_sky_is_infinitely_far_and_everything_else_is_not(twin):
    sky = twin["synthetic"].classes == tags.SKY
    assert torch.isinf(twin["synthetic"].depth[sky]).all() and torch.isfinite(twin["synthetic"].depth[~sky]).all()


def test_styles_share_every_buffer(twin):
    day, flat = twin["photoreal.day"], twin["synthetic"]
    for name in ("depth", "classes", "instances", "flow"):
        assert torch.equal(getattr(day, name), getattr(flat, name))
    assert float((day.rgb - flat.rgb).abs().mean()) > 0.03


def test_flow_leads_to_the_same_thing_in_the_next_frame():
    y, x = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
    followed = stayed = total = 0
    for seed in range(5):
        flat = render(make_scene(seed, fps=3.0), 2, SIZE)
        u = (x + 0.5 + flat.flow[0, ..., 0]).floor().long()
        v = (y + 0.5 + flat.flow[0, ..., 1]).floor().long()
        inside = (u >= 0) & (u < SIZE[1]) & (v >= 0) & (v < SIZE[0])
        thing = flat.classes.long() * 100_000 + flat.instances
        followed += int((thing[0][inside] != thing[1][v[inside], u[inside]]).sum())
        stayed += int((thing[0][inside] != thing[1][inside]).sum())
        total += int(inside.sum())
    # What is left is what gets covered or uncovered.
    assert followed < 0.1 * total and followed < 0.7 * stayed


def test_flow_of_the_road_is_the_projected_ego_motion(scene, twin):
    camera = scene.camera(torch.arange(4), *SIZE)
    hits = raycast.cast(scene, scene.camera(torch.arange(1), *SIZE), torch.zeros(1))
    road = twin["synthetic"].classes[0] == tags.ROAD
    points = hits.point[0][road].double()
    rel = points - camera.position[1].double()
    c, s = math.cos(float(camera.yaw[1])), math.sin(float(camera.yaw[1]))
    along = s * rel[:, 0] + c * rel[:, 2]
    u = 0.5 * SIZE[1] + camera.focal * (c * rel[:, 0] - s * rel[:, 2]) / along
    columns = torch.arange(SIZE[1]).expand(SIZE)[road] + 0.5
    assert torch.allclose(twin["synthetic"].flow[0, ..., 0][road].double(), u - columns, atol=2e-3)


def test_projection_undoes_the_rays(scene):
    camera = scene.camera(torch.tensor([0, 20]), *SIZE)
    points = camera.position[:, None, None] + camera.rays(0.5, 0.5) * 7.0
    pixels, depth = camera.project(points)
    assert torch.allclose(depth, torch.full_like(depth, 7.0), atol=1e-4)
    assert torch.allclose(pixels[0, 5, 9], torch.tensor([9.5, 5.5]), atol=1e-3)


def test_rays_meet_a_box_where_the_slab_method_says():
    generator = torch.Generator().manual_seed(0)
    origin = torch.randn(2000, 3, generator=generator) * 3
    direction = torch.randn(2000, 3, generator=generator)
    half = torch.tensor([1.0, 0.6, 1.7])
    solid = Solid((0, 0, 0), 0, 0, 0, (1, 1, 1), tuple(half.tolist()), box_planes((0, 0, 0), tuple(half.tolist())))
    t, _ = intersect(solid, origin, direction)
    low, high = (-half - origin) / direction, (half - origin) / direction
    near, far = torch.minimum(low, high).amax(-1), torch.maximum(low, high).amin(-1)
    hit = (near < far) & (near > 1e-3)
    assert torch.equal(torch.isfinite(t), hit) and 20 < int(hit.sum()) < 1900
    assert torch.allclose(t[hit], near[hit], rtol=1e-5)


def test_rays_meet_a_sphere_on_its_surface():
    generator = torch.Generator().manual_seed(1)
    origin, direction = torch.randn(300, 3, generator=generator) * 4, torch.randn(300, 3, generator=generator)
    solid = Solid((0, 0, 0), 0, 0, 0, (1, 1, 1), (1.3,) * 3, radii=(1.3,) * 3)
    t, _ = intersect(solid, origin, direction)
    hit = torch.isfinite(t)
    closest = torch.linalg.cross(origin, direction).norm(dim=-1) / direction.norm(dim=-1)
    assert torch.allclose((origin + direction * t[:, None])[hit].norm(dim=-1), torch.tensor(1.3), atol=1e-4)
    outside = origin.norm(dim=-1) > 1.3
    assert torch.equal(hit, (closest < 1.3) & outside & ((origin * direction).sum(-1) < 0))


def test_rotation_goes_there_and_back():
    vectors = torch.randn(10, 3, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(to_world(to_local(vectors, 0.7), 0.7), vectors, atol=1e-6)


def test_shadows_equal_brute_force_over_all_solids(scene):
    camera = scene.camera(torch.arange(1), 24, 40)
    seconds = torch.zeros(1)
    hits = raycast.cast(scene, camera, seconds)
    sun = scene.sun()
    light = raycast.sunlit(scene, camera, seconds, hits, sun)
    start = hits.point + hits.normal * 0.02
    free = ((hits.normal @ sun) > 0).float()
    for posed in raycast.visible_solids(scene, camera, seconds):
        solid = posed.solid
        if solid.casts_shadow:
            o = to_local(start - posed.position[:, None, None, :], solid.yaw)
            t, _ = intersect(solid, o, to_local(sun, solid.yaw).expand_as(o))
            free = torch.where(torch.isinf(t), free, torch.zeros_like(t))
    seen = hits.solid != raycast.SKY
    # Rays that graze a solid: one side multiplies whole frames, the other only what is lit still.
    assert share_of_others(light[seen], free[seen]) < 0.002
    assert 0.02 < float((1 - light[seen]).mean()) < 0.98


def test_one_sun_lights_both_styles(scene):
    """Lambert's law on faces whose paint is known: the road, and the same crown or wall under the sun turned about."""
    camera, seconds = scene.camera(torch.arange(1), *SIZE), torch.zeros(1)
    hits = raycast.cast(scene, camera, seconds)
    surface = describe(scene, hits, seconds)
    shades = {}
    for azimuth in (scene.sun_azimuth, -scene.sun_azimuth):
        turned = replace(scene, sun_azimuth=azimuth)
        clips = render_styles(turned, 1, SIZE, ("synthetic", "photoreal.day"))
        light = raycast.sunlit(turned, camera, seconds, hits, turned.sun())
        flat = clips["synthetic"].rgb
        road = surface.material == INDEX["asphalt"]
        for lit, shade in ((1, 1.0), (0, 0.5)):
            at = road & (light == lit)
            assert torch.allclose(flat[at], surface.paint[at] * shade, atol=1e-6), lit
        shades[azimuth > 0] = {style: clip.rgb.mean(-1) for style, clip in clips.items()}
    upright = (hits.normal[..., 1].abs() < 0.3) & (hits.solid >= 0) & (surface.glow == 0) & (surface.glass == 0)
    right = hits.normal[..., 0]  # the sun at a positive azimuth stands to the right
    for style in ("synthetic", "photoreal.day"):
        gain = shades[True][style] - shades[False][style]
        assert float(gain[upright & (right > 0.5)].mean()) > 0.05, style
        assert float(gain[upright & (right < -0.5)].mean()) < -0.05, style


def test_lit_lamps_lie_in_their_boxes_and_have_their_colour():
    found = 0
    for seed in range(8):
        clip = render(make_scene(seed), range(30, 32), (96, 160))
        for light in clip.lights:
            for t, box in enumerate(light["lamp_box"]):
                if box is None or light["visible"][t] < 0.95 or box[3] - box[1] < 5:
                    continue
                y, x = round((box[1] + box[3]) / 2 - 0.5), round((box[0] + box[2]) / 2 - 0.5)
                if 0 <= y < 96 and 0 <= x < 160:
                    assert torch.allclose(clip.rgb[t, y, x], torch.tensor(LAMP_PAINTS[light["state"][t]]), atol=1e-6)
                    found += 1
    assert found >= 4


def test_the_photoreal_twin_has_what_a_camera_adds(twin):
    """No flat regions, fewer saturated colours, many more distinct ones; darker at night."""
    flat, day, night = (twin[s].rgb for s in ("synthetic", "photoreal.day", "photoreal.night"))

    def colours(rgb):
        return len(torch.unique((rgb * 255).round().reshape(-1, 3), dim=0))

    def saturation(rgb):
        return float((rgb.amax(-1) - rgb.amin(-1)).mean())

    assert colours(day) > 10 * colours(flat)
    assert saturation(day) < 0.75 * saturation(flat)
    assert (
        float((flat[:, :, 1:] == flat[:, :, :-1]).float().mean())
        > 0.5
        > float((day[:, :, 1:] == day[:, :, :-1]).float().mean())
    )
    assert float(night.mean()) < 0.75 * float(day.mean())


def test_captions_never_tell_what_only_the_source_may_carry():
    from random import Random

    colours = set(CAR_PAINTS) | set(LAMP_PAINTS)
    scenes = [make_scene(seed) for seed in range(4)]
    for seed in range(4):
        for style in STYLES:
            words = set(caption(scenes[seed], style, Random(seed)).replace(",", " ").split())
            assert not words & colours, words & colours


@pytest.mark.parametrize(
    "call",
    [
        lambda s: render(s, 0),
        lambda s: render(s, 1, (8, 8)),
        lambda s: render(s, 1, SIZE, "cartoon"),
        lambda s: make_scene(1, fps=0),
        lambda s: make_scene(1, area="moon"),
    ],
)
def test_bad_requests_are_refused_in_one_sentence(scene, call):
    with pytest.raises(UserError, match="change"):
        call(scene)


def test_every_look_renders_finite_pictures(scene):
    styles = tuple(f"photoreal.{look}" for look in LOOKS)
    for clip in render_styles(scene, 1, (32, 48), styles).values():
        assert torch.isfinite(clip.rgb).all() and 0 <= float(clip.rgb.min()) and float(clip.rgb.max()) <= 1
