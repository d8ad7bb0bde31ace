"""Sign outlines and legibility against closed forms: areas of drawn shapes, correlation of drawn text."""

import pytest
import torch

from pipeline_core.errors import UserError
from pipeline_core.metrics.signs import SignShapes, iou, legibility, outline
from pipeline_core.world.town.glyphs import bitmap

SIGN = 8
GROUND, RED, WHITE = torch.tensor([0.3, 0.4, 0.35]), torch.tensor([0.7, 0.1, 0.1]), torch.tensor([0.9, 0.9, 0.9])
Y, X = torch.meshgrid(torch.arange(40), torch.arange(48), indexing="ij")
SQUARE = (Y >= 12) & (Y < 28) & (X >= 16) & (X < 32)
SHIFTED = (Y >= 12) & (Y < 28) & (X >= 20) & (X < 36)
DIAMOND = (Y - 19.5).abs() + (X - 23.5).abs() <= 8.0
RIM = SQUARE & ~((Y >= 14) & (Y < 26) & (X >= 18) & (X < 30))


def drawn(shape, colour=RED, rim=None):
    frame = GROUND.expand(40, 48, 3).clone()
    frame[shape] = colour
    if rim is not None:
        frame[rim] = WHITE
    return frame


def measured(outputs, sources, mask=SQUARE):
    count, metric = len(outputs), SignShapes()
    classes = torch.where(mask, SIGN, 1).expand(count, -1, -1)
    instances = torch.where(mask, 77, 0).expand(count, -1, -1)
    for t in range(count):  # one frame at a time is the same as all at once
        metric.update(outputs[t : t + 1], sources[t : t + 1], classes[t : t + 1], instances[t : t + 1])
    whole = SignShapes()
    whole.update(outputs, sources, classes, instances)
    assert whole.compute() == metric.compute() and whole.decisions == metric.decisions
    return metric


@pytest.mark.parametrize("shape", [SQUARE, SHIFTED, DIAMOND])
def test_an_outline_is_the_shape_that_is_drawn_whatever_the_mask_says(shape):
    assert torch.equal(outline(drawn(shape), SQUARE, ~SQUARE), shape)


def test_shape_agreement_is_the_iou_of_the_two_shapes():
    outputs = torch.stack([drawn(SQUARE, WHITE), drawn(SHIFTED), drawn(DIAMOND), drawn(SQUARE & ~SQUARE)])
    metric = measured(outputs, drawn(SQUARE).expand(4, -1, -1, -1))
    expected = [1.0, iou(SHIFTED, SQUARE), iou(DIAMOND, SQUARE), 0.0]
    assert metric.compute()["signs_shape"].value == pytest.approx(sum(expected) / 4, abs=1e-6)
    assert [decision.kept for decision in metric.decisions] == [True, False, False, False]
    assert {(decision.instance, decision.expected) for decision in metric.decisions} == {(77, "its outline")}


def test_a_sign_of_two_colours_has_one_outline_and_noise_hardly_moves_it():
    source = drawn(SQUARE, RED, RIM)
    noise = 0.02 * torch.randn(40, 48, 3, generator=torch.Generator().manual_seed(0))
    figure = measured((source + noise).clamp(0, 1)[None], source[None]).compute()["signs_shape"]
    assert torch.equal(outline(source, SQUARE, ~SQUARE), SQUARE) and figure.value > 0.97


def test_a_sign_that_the_source_hides_is_left_out_and_the_figures_say_so():
    hidden = GROUND.expand(1, 40, 48, 3)
    figures = measured(hidden, hidden).compute()
    assert figures["signs_shape"].value is None and "stands out" in figures["signs_shape"].note
    assert figures["signs_legible"].value is None and "on its face" in figures["signs_legible"].note


def written(text, ink=0.9, face=0.2):
    """A face with a line of text, 3 pixels a dot, and the mask of the face."""
    dots = bitmap(text).float().repeat_interleave(3, 0).repeat_interleave(3, 1)
    dots = torch.nn.functional.pad(dots, (4, 4, 4, 4))
    grey = face + (ink - face) * dots
    return grey[..., None].repeat(1, 1, 3), torch.ones(grey.shape, dtype=torch.bool)


def test_legibility_is_correlation_times_contrast():
    source, mask = written("STOP")
    assert legibility(source, source, mask) == pytest.approx(1.0)
    assert legibility(0.4 * source + 0.3, source, mask) == pytest.approx(0.4, abs=1e-6)  # greyer, as readable as that
    assert legibility((1.1 * source).clamp(0, 1), source, mask) == pytest.approx(1.0, abs=1e-6)
    assert legibility(1 - source, source, mask) == 0.0
    assert legibility(torch.full_like(source, 0.5), source, mask) == 0.0
    assert legibility(source, torch.full_like(source, 0.5), mask) is None
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(mask.shape, generator=generator).sub(0.5)[..., None]
    told = legibility(source + 0.5 * noise, source, mask)
    fine = [legibility(source + k * noise, source, mask) for k in (0.1, 0.3, 0.5)]
    assert 1 > fine[0] > fine[1] > fine[2] == told > 0.5


def test_other_text_and_blurred_text_are_less_legible():
    source, mask = written("STOP")
    other, _ = written("SLOW")
    planes = torch.nn.functional.avg_pool2d(source.movedim(-1, 0)[None], 13, 1, 6, count_include_pad=False)
    assert legibility(other, source, mask) < 0.7  # S and O are the same
    assert legibility(planes[0].movedim(0, -1), source, mask) < 0.3


def test_what_does_not_fit_is_refused():
    frames = torch.zeros(2, 40, 48, 3)
    with pytest.raises(UserError, match="Classes"):
        SignShapes().update(frames, frames, torch.zeros(2, 40, 40), torch.zeros(2, 40, 48))
