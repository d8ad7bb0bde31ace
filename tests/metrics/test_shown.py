"""Objects shown, without a detector: least squares by numpy, and cars that the world takes out of a street."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline_core.conditions.segmentation import VEHICLE_TAGS
from pipeline_core.errors import UserError
from pipeline_core.metrics.shown import ObjectsShown, Unexplained, explained
from pipeline_core.world import make_scene, render_styles

SEED, FRAMES = 800_008, range(4, 13, 2)
STYLES = ("photoreal.day", "photoreal.dusk", "photoreal.night", "photoreal.snow")


def noise(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_explained_is_least_squares():
    seen, wanted = noise(50, 3), noise(50, 2, seed=1)
    wanted = wanted + seen[:, :2]
    design = np.concatenate([seen.double().numpy(), np.ones((50, 1))], 1)
    _, residual, *_ = np.linalg.lstsq(design, wanted.double().numpy(), rcond=None)
    rest, variance = explained(seen, wanted)
    assert float(rest) == pytest.approx(residual.sum() / 50, rel=1e-3)  # the ridge is a thousandth here
    assert float(variance) == pytest.approx(float(wanted.double().var(0, correction=0).sum()))
    many, _ = explained(torch.stack([seen, wanted[:, :1].expand(-1, 3)]), torch.stack([wanted, wanted]))
    assert float(many[0]) == pytest.approx(float(rest))
    weights = torch.tensor([1.0] * 30 + [0.0] * 20)[:, None]
    parts = zip(explained(seen, wanted, weights), explained(seen[:30], wanted[:30]))
    assert all(float(part) == pytest.approx(float(alone) * 30 / 50) for part, alone in parts)


def test_any_affine_change_of_colours_is_explained():
    seen = noise(200, 3)
    rest, variance = explained(seen, (seen @ noise(3, 3, seed=1) + 0.3))
    assert float(rest / variance) < 1e-3
    rest, variance = explained(noise(200, 3, seed=2), seen)
    assert float(rest / variance) > 0.9


@pytest.fixture(scope="module")
def street():
    """The source, its photoreal renders, and the same without its nearest car."""
    scene = make_scene(SEED)
    clips = render_styles(scene, FRAMES, (96, 160), ("synthetic", *STYLES))
    source = clips.pop("synthetic")
    vehicles = torch.isin(source.classes.long(), torch.tensor(VEHICLE_TAGS))
    car = int(source.instances[vehicles].mode().values)
    empty = replace(scene, solids=tuple(solid for solid in scene.solids if solid.instance != car))
    return source, clips, render_styles(empty, FRAMES, (96, 160), STYLES), car


def shown(frames, source):
    metric = ObjectsShown(VEHICLE_TAGS)
    for t in range(len(frames)):
        metric.update(frames[t : t + 1], source.rgb[t : t + 1], source.classes[t : t + 1], source.instances[t : t + 1])
    return metric


@pytest.mark.parametrize("style", STYLES)
def test_a_car_shows_in_any_light_and_one_that_is_gone_does_not(street, style):
    source, clips, without, car = street
    there, gone = shown(clips[style].rgb, source), shown(without[style].rgb, source)
    means = [sum(metric.views[car]) / len(metric.views[car]) for metric in (there, gone)]
    assert means[0] > 0.4 > 0.25 > means[1], means
    assert gone.compute()["object_least"].value == pytest.approx(means[1])
    assert f"object {car}" in gone.compute()["object_least"].note


def test_the_source_shows_itself_best(street):
    source, clips, _, _ = street
    itself, twin = (
        shown(frames, source).compute()["objects_shown"].value for frames in (source.rgb, clips[STYLES[0]].rgb)
    )
    assert itself > twin


def test_what_is_too_small_or_not_asked_for_is_left_out(street):
    source, *_ = street
    metric = ObjectsShown(VEHICLE_TAGS, least_share=0.9)
    metric.update(source.rgb, source.rgb, source.classes, source.instances)
    assert all(figure.value is None and figure.note for figure in metric.compute().values())
    with pytest.raises(UserError, match="give \\(T, H, W\\)"):
        metric.update(source.rgb, source.rgb, source.classes[:1], source.instances)


def test_what_the_source_does_not_have_stays_unexplained(street):
    source, clips, without, _ = street
    values = []
    for output in (0.5 * without[STYLES[0]].rgb + 0.2, clips[STYLES[0]].rgb):
        whole, parts = Unexplained(), Unexplained()
        whole.update(output, without[STYLES[0]].rgb)
        parts.update(output[:2], without[STYLES[0]].rgb[:2])
        parts.update(output[2:], without[STYLES[0]].rgb[2:])
        values.append(whole.compute()["unexplained_most"].value)
        assert values[-1] == pytest.approx(parts.compute()["unexplained_most"].value)
    assert values[0] < 0.01 < 0.1 < values[1]  # a change of light, and a car


def test_unexplained_of_small_and_large_frames():
    for height, width in ((5, 7), (96, 160), (400, 640)):
        metric, frames = Unexplained(), noise(1, height, width, 3)
        metric.update(frames, frames)
        assert metric.compute()["unexplained_most"].value < 0.01
