"""What the output shows beyond the source: classes painted anew are explained, an object that nobody planned is not."""

from dataclasses import replace

import pytest
import torch

from pipeline_core.conditions.segmentation import TAG, VEHICLE_TAGS
from pipeline_core.errors import UserError
from pipeline_core.metrics.invented import Invented
from pipeline_core.world import make_scene, render_styles

TAGS = (*VEHICLE_TAGS, TAG["traffic light"])
SEED, FRAMES = 800_017, range(0, 12, 4)


def noise(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def most(output, source, classes):
    metric = Invented(TAGS)
    metric.update(output, source, classes, torch.zeros_like(classes, dtype=torch.int32))
    return metric.compute()["invented_most"].value


@pytest.fixture(scope="module")
def street():
    """(the street as synthetic and photoreal, the synthetic street without its nearest car)."""
    scene = make_scene(SEED)
    clips = render_styles(scene, FRAMES, (96, 160), ("synthetic", "photoreal.day"))
    source = clips["synthetic"]
    cars = source.instances[torch.isin(source.classes.long(), torch.tensor(VEHICLE_TAGS))]
    ids, counts = cars.unique(return_counts=True)
    car = int(ids[counts.argmax()])
    empty = replace(scene, solids=tuple(solid for solid in scene.solids if solid.instance != car))
    return source, clips["photoreal.day"].rgb, render_styles(empty, FRAMES, (96, 160))["synthetic"]


def test_a_photoreal_street_has_nothing_that_its_source_explains_not_and_with_another_car_it_has(street):
    source, twin, empty = street
    assert most(twin, source.rgb, source.classes) < 0.06 < 0.065 < most(twin, empty.rgb, empty.classes)


def test_classes_may_have_any_colours_and_the_source_s_objects_any_look():
    classes = torch.full((2, 96, 160), TAG["road"], dtype=torch.uint8)
    classes[:, :40] = TAG["sky"]
    classes[:, 50:70, 60:90] = TAG["car"]
    source = torch.full((2, 96, 160, 3), 0.5)
    output = torch.where((classes == TAG["sky"])[..., None], torch.tensor([0.2, 0.5, 0.9]), torch.tensor([0.3] * 3))
    car = (classes == TAG["car"])[..., None]
    assert most(torch.where(car, noise(2, 96, 160, 3), output), source, classes) < 1e-3
    output[:, 70:90, 20:40] = torch.tensor([0.9, 0.1, 0.1])
    assert most(output, source, classes) > 0.1


def test_fine_texture_is_none_and_chunks_make_the_same_figure():
    classes, source = torch.ones(4, 96, 160, dtype=torch.uint8), torch.full((4, 96, 160, 3), 0.4)
    output = source.clone()
    output[:, ::2, ::2] += 0.3
    output[:, 1::2, 1::2] -= 0.3
    assert most(output, source, classes) < 1e-3
    output[:, 30:60, 30:60] += 0.1
    whole, parts, ids = Invented(TAGS), Invented(TAGS), torch.zeros(4, 96, 160, dtype=torch.int32)
    whole.update(output, source, classes, ids)
    for span in (slice(0, 1), slice(1, 4)):
        parts.update(output[span], source[span], classes[span], ids[span])
    values = [metric.compute()["invented_most"].value for metric in (whole, parts)]
    assert values[0] == pytest.approx(values[1]) and values[0] > 0.02


def test_small_and_large_frames_and_none():
    for height, width in ((5, 7), (96, 160), (400, 640)):
        frames, classes = noise(1, height, width, 3), torch.ones(1, height, width, dtype=torch.uint8)
        assert most(frames, frames, classes) < 0.01
    assert Invented(TAGS).compute()["invented_most"].value is None
    with pytest.raises(UserError):
        most(noise(1, 8, 8, 3), noise(1, 8, 8, 3), torch.ones(1, 8, 9, dtype=torch.uint8))
