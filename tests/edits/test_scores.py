"""The filter's scores in closed form, on features that are numbers of the frames, and on a CLIP folder."""

import math

import pytest
import torch
from tiny_metrics import save_clip

from pipeline_core.edits.scores import THRESHOLD_FILE, Scores, Thresholds, score_pair, usual_thresholds
from pipeline_core.errors import UserError
from pipeline_core.perception.text_image import TextImage, cosines, load_text_image

WORDS = {"day": [1.0, 0.0, 0.0], "night": [0.0, 1.0, 0.0], "rain": [0.0, 0.0, 1.0]}


def network():
    """Reads a frame's mean colour as its features; a caption is an axis of them."""
    return TextImage(lambda frames: frames.mean((1, 2)), lambda texts: torch.tensor([WORDS[t] for t in texts]), 1.0)


def clip(*colours):
    return [torch.tensor(colour).expand(4, 6, 3) for colour in colours]


def test_a_perfect_pair_and_one_that_did_nothing():
    day, night = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
    scores = score_pair(network(), clip(day), clip(night), "day", "night")
    assert scores == Scores(1.0, 1.0, 0.0, 1.0)
    scores = score_pair(network(), clip(day, day), clip(day, day), "day", "night")
    assert scores == Scores(1.0, 0.0, 1.0, 0.0)


def test_scores_are_means_over_frames_of_their_cosines():
    sources, edits = [(1.0, 0.2, 0.1), (0.8, 0.1, 0.3)], [(0.3, 0.9, 0.1), (0.5, 0.5, 0.0)]
    scores = score_pair(network(), clip(*sources), clip(*edits), "day", "rain")

    def unit(v):
        return [x / math.sqrt(sum(y * y for y in v)) for x in v]

    def dot(a, b):
        return sum(x * y for x, y in zip(unit(a), unit(b)))

    def less(a, b):
        return [x - y for x, y in zip(unit(a), unit(b))]

    pairs = list(zip(sources, edits))
    expected = [
        sum(dot(s, WORDS["day"]) for s, _ in pairs) / 2,
        sum(dot(e, WORDS["rain"]) for _, e in pairs) / 2,
        sum(dot(s, e) for s, e in pairs) / 2,
        sum(dot(less(e, s), less(WORDS["rain"], WORDS["day"])) for s, e in pairs) / 2,
    ]
    assert [scores.text_source, scores.text_edited, scores.frames, scores.direction] == pytest.approx(
        expected, abs=1e-4
    )


def test_long_clips_score_as_short_ones_of_the_same_frames():
    sources, edits = clip((0.9, 0.2, 0.0)), clip((0.2, 0.8, 0.1))
    assert score_pair(network(), sources * 37, edits * 37, "day", "night") == score_pair(
        network(), sources, edits, "day", "night"
    )


def test_bytes_are_read_as_floats_are():
    frames = (torch.rand(2, 4, 6, 3, generator=torch.Generator().manual_seed(0)) * 255).round()
    floats = score_pair(network(), frames / 255, frames.flip(0) / 255, "day", "night")
    assert score_pair(network(), frames.byte(), frames.byte().flip(0), "day", "night") == floats


def test_clips_of_other_lengths_are_refused():
    with pytest.raises(UserError, match="edit ends after 1 frames"):
        score_pair(network(), clip((1.0, 0.0, 0.0)) * 2, clip((1.0, 0.0, 0.0)), "day", "night")
    with pytest.raises(UserError, match="without frames"):
        score_pair(network(), [], [], "day", "night")


def test_reasons_name_what_fell_short():
    limits = Thresholds(text=0.5, frames=0.8, direction=0.3)
    assert limits.reasons(Scores(0.5, 0.5, 0.8, 0.3)) == []
    reasons = limits.reasons(Scores(0.49, 0.6, 0.1, math.nan))
    assert [reason.split("(")[1].split()[0] for reason in reasons] == ["text_source", "frames", "direction"]
    with pytest.raises(UserError, match="frames threshold"):
        Thresholds(frames=2)


def test_a_network_brings_thresholds_of_its_own(tmp_path):
    assert usual_thresholds(tmp_path) == Thresholds()
    (tmp_path / THRESHOLD_FILE).write_text('{"text": 0.7, "frames": -0.4, "direction": 1}')
    assert usual_thresholds(tmp_path) == Thresholds(0.7, -0.4, 1.0)
    (tmp_path / THRESHOLD_FILE).write_text('{"text": 0.7, "frames": true, "direction": 1}')
    with pytest.raises(UserError, match="holds no thresholds of pairs"):
        usual_thresholds(tmp_path)


def test_a_clip_folder_scores_as_its_features_say(tmp_path):
    loaded = load_text_image(save_clip(tmp_path), "cpu")
    generator = torch.Generator().manual_seed(1)
    source, edited = (torch.rand(3, 28, 28, 3, generator=generator) for _ in range(2))
    scores = score_pair(loaded, source, edited, "a street", "a street at night")
    features = loaded.image(source), loaded.image(edited)
    texts = loaded.texts(["a street", "a street at night"])
    assert scores.text_source == pytest.approx(cosines(features[0], texts)[:, 0].mean().item(), abs=1e-4)
    assert scores.frames == pytest.approx(cosines(*features).diagonal().mean().item(), abs=1e-4)
