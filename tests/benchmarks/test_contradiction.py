"""Warnings about prompts, by a network that reads the world's captions without fault."""

import pytest
import torch

from benchmarks import contradiction
from pipeline_core.conditions.estimated import Agreement
from pipeline_core.world import make_scene
from pipeline_core.world.captions import description

SEEDS = (800_060, 800_061)


@pytest.fixture
def scenes(monkeypatch):
    """Values of two scenes; the network is told by its first words which scene it sees, one frame after the other."""
    monkeypatch.setattr(contradiction, "SIZE", (16, 24))
    seen = iter(SEEDS)
    facts = set()

    def log_odds(frames, texts):
        if not log_odds.asked % 20:
            facts.clear()
            facts.update(description(make_scene(next(seen))).split(", "))
        log_odds.asked += 1
        styles = ("photo", "real", "video", "render", "day", "dusk", "night", "rain", "fog", "sky", "light", "best")

        def odds(text):
            parts = [part for part in text.split(", ") if part in facts or not any(word in part for word in styles)]
            return sum(1.0 if part in facts else -1.0 for part in parts)

        return torch.tensor([[odds(text) for text in texts]] * len(frames))

    log_odds.asked = 0
    return contradiction.values_of(Agreement(log_odds, 0.0, "reader"), SEEDS)


def test_a_network_that_can_read_tells_contradictions(scenes):
    assert {kind: len(values) for kind, values in scenes[0].items()} == {
        "says what is there": 5,
        "names the look alone": 5,
        "contradicts the clip": 10,
    }
    limit = contradiction.tuned_limit(scenes)
    shares = {row["row"]: row["warned"] for row in contradiction.rows(scenes, limit)}
    assert shares["contradicts the clip"] > 0.9 > 0.2 > shares["says what is there"]
