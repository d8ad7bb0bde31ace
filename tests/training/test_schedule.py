"""What a run does at each step, worked out by hand."""

import pytest

from pipeline_core.errors import UserError
from training.run.config import RunConfig
from training.run.schedule import parse_worlds, rate_factor, scene_pool, task_at, world_of


def test_tasks_follow_once_and_then_again():
    tasks = [task_at("vae:2;dit:3,decoder:1", step) for step in range(11)]
    assert tasks == ["vae", "vae", *["dit", "dit", "dit", "decoder"] * 2, "dit"]


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("dit", "entry 'dit'"),
        ("dit:0", "entry 'dit:0'"),
        ("critic:3", "entry 'critic:3'"),
        ("", "nothing to repeat"),
        ("vae:3;", "nothing to repeat"),
        ("dit:2,vae:3", "repeats vae"),
    ],
)
def test_other_schedules_are_refused(schedule, message):
    with pytest.raises(UserError, match=message):
        RunConfig(schedule=schedule)


def test_rate_warms_up_stays_and_falls_with_the_inverse_root():
    factors = [rate_factor(step, 1000, 0, 0, 0) for step in (0, 49, 99, 999, 4000)]
    assert factors == pytest.approx([0.01, 0.5, 1.0, 1.0, 0.5])
    assert [rate_factor(500, 1000, step, 20, 10) for step in (9, 10, 15, 19)] == pytest.approx([1, 1, 0.5, 0.1])


def test_the_pool_grows_and_then_moves_on():
    pools = [scene_pool(step, 100, 4, 10, 6) for step in (0, 9, 10, 29, 30, 1000)]
    assert pools == [range(100, 104)] * 2 + [range(100, 105), range(100, 106), range(101, 107), range(198, 204)]
    with pytest.raises(UserError, match="below 600000"):
        scene_pool(0, 599_999, 2, 1, 5)


def test_worlds_are_mixed_by_their_shares_and_a_scene_keeps_its_own():
    assert parse_worlds("2") == {2: 1.0}
    seeds = range(4000)
    versions = [world_of(seed, "1:0.3,2:0.7") for seed in seeds]
    assert abs(versions.count(2) / len(seeds) - 0.7) < 4 * (0.3 * 0.7 / len(seeds)) ** 0.5
    assert versions == [world_of(seed, "1:0.3,2:0.7") for seed in seeds]
    assert {world_of(seed, "2") for seed in range(20)} == {2}


@pytest.mark.parametrize(
    "settings", [{"worlds": "one"}, {"worlds": "1:0"}, {"maps": "sobel"}, {"batch": 0}, {"steps": 3, "cooldown": 4}]
)
def test_settings_that_make_no_run_are_refused(settings):
    with pytest.raises(UserError):
        RunConfig(**settings)
