"""The papers' tables: every kind of row runs on a tiny network, a cut-off run goes on, claims say what figures say."""

import json
from dataclasses import dataclass, replace
from functools import partial

import pytest
import torch

from benchmarks import guided, sign_stages
from benchmarks import longvideo as drives
from benchmarks.papers import calibration, cfg, conditions, downstream, longvideo, maps, prompts, table, training_scenes
from benchmarks.papers.table import Claim, Table
from pipeline_core.job.settings import EnhanceSettings
from pipeline_core.longvideo import plan_windows
from pipeline_core.models.folders.loading import load_video_model
from pipeline_core.models.folders.preset import Preset
from pipeline_core.perception.text_image import TextImage

TABLES = [module.TABLE for module in (cfg, conditions, calibration, maps, prompts)]


@pytest.fixture(scope="module")
def bench(model_folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guided, "load_video_model", partial(load_video_model, model_folder))
        patch.setattr(guided, "SIZE", (32, 48))
        opened = guided.open_bench(table.HELD_OUT[:1], prompts.LOOKS, frames=5)
    opened.model = replace(opened.model, preset=replace(opened.model.preset, steps=5))
    return opened


@pytest.mark.parametrize("tried", TABLES, ids=lambda tried: tried.name)
def test_every_kind_of_row_runs_and_every_claim_names_rows(tried, bench, monkeypatch):
    monkeypatch.setattr(calibration, "STEPS", 5)
    monkeypatch.setattr(conditions, "grown", lambda kind: {"vis": bench.model.branches["depth"]})
    for name in {make.__code__: name for name, make in tried.rows.items()}.values():
        for scene in table._row(bench, tried.rows[name]):
            assert scene["figures"]["psnr"][1] >= 1 and scene["figures"]["calls"][0] > 0, name
    assert named_rows(tried) <= tried.rows.keys()


def test_the_stages_of_signs_begin_at_the_truth(bench):
    """Begun just above the last level nothing is sampled: what is left is the twin under the job's own noise."""
    last = float(bench.sigmas()[-1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sign_stages, "SIGMAS", (1.0001 * last, 80.0))
        stages = sign_stages.stages(bench)
    twin = bench.model.encode(bench.clips[0].twins["day"].rgb)
    true, noisy = (bench.model.decode(latent) for latent in (twin, twin + last * bench.inverted().noise))
    (vae,), (near,), (far,) = (stages[name] for name in ("VAE", f"from sigma {1.0001 * last:g}", "from sigma 80"))
    assert torch.equal(vae, true)
    assert float((near - noisy).abs().mean()) < 0.1 * float((far - noisy).abs().mean())
    assert len(stages) == 7 and len(sign_stages.signs_of(bench, stages["job"])) == len(bench.clips)


def test_what_the_frames_say_is_held_against_the_rows_own_prompt(bench, monkeypatch):
    asked = []

    def texts(prompts):
        asked.extend(prompts)
        return torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])

    network = TextImage(lambda frames: frames.mean((1, 2)), texts, 1.0)
    monkeypatch.setattr(table, "text_image", lambda: network)
    (scene,) = table._row(bench, prompts.TABLE.rows["night: look"])
    assert asked == [*bench.prompts()["inversion"], prompts.LOOK_PHRASES["night"][0]]
    grey = scene["figures"]["text"]  # the cosine of the frames' mean colour to grey
    assert 0.9 < grey[0] <= 1 and grey[1] == 1
    assert -1 <= scene["figures"]["direction"][0] <= 1
    monkeypatch.setattr(table, "text_image", lambda: None)
    (scene,) = table._row(bench, prompts.TABLE.rows["night: look"])
    assert scene["figures"]["text"] == [0.0, 0]
    claimed = {claim.what for claim in table.measurable(prompts.TABLE).claims}
    assert "text" not in claimed and "psnr" in claimed


def named_rows(tried):
    return {tried.base, *tried.paper, *(name for claim in tried.claims for name in (claim.ours, claim.theirs))}


def test_a_drive_is_cut_into_windows_of_every_kind(model_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(table, "WORK", tmp_path)
    monkeypatch.setattr(drives, "SIZE", (32, 48))
    monkeypatch.setattr(longvideo, "load_video_model", lambda: load_video_model(model_folder))
    kinds = ("LVSC along the motion", "inverted, windows of 13")
    tried = replace(longvideo.TABLE, rows={name: longvideo.ROWS[name] for name in kinds}, frames=21, steps=5)
    (scene,) = longvideo.measure(tried, table.HELD_OUT[:1], "weights")
    for name, shown in scene["rows"].items():
        windows = shown["figures"]["calls"][0] * 21 / 5 / (2 if name.startswith("inverted") else 1)
        way = longvideo.ROWS[name]
        assert windows == len(plan_windows(21, way.window, way.overlap, 4)), name
        assert shown["figures"]["of_twin"][0] > 0
    rows = table.summaries(replace(tried, base=kinds[0]), [scene])
    assert {"at_seams", "of_twin", "consistency", "psnr", "above", "frechet"} <= rows[0].keys()
    assert longvideo.measure(tried, table.HELD_OUT[:1], "weights") == [scene]  # nothing is left to do
    assert named_rows(longvideo.TABLE) <= longvideo.TABLE.rows.keys()


def test_maps_are_estimated_where_there_are_networks(bench, depth_folder, segmentation_folder, monkeypatch):
    monkeypatch.setattr(maps, "own_folder", {"depth": depth_folder, "segmentation": segmentation_folder}.get)
    maps.estimators.cache_clear()
    assert maps.ESTIMATED in maps.rows()
    estimated, exact = maps.estimated({}, bench.clips[0]), guided.exact_maps(bench.clips[0].source)
    maps.estimators.cache_clear()
    assert {name: values.shape for name, values in estimated.items()} == {n: v.shape for n, v in exact.items()}
    assert not torch.equal(estimated["depth"], exact["depth"])


@dataclass(frozen=True)
class Model:
    preset: Preset


@dataclass
class Stub:
    """A bench of nothing: rows get the number of its scene."""

    scenes: list[int]
    model: Model = Model(Preset())  # noqa: RUF009 (frozen)

    def take(self, indices):
        return Stub([self.scenes[i] for i in indices])


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """The scenes of every row that was asked for, in order."""
    asked = []

    def row(bench, make):
        asked.append(bench.scenes)
        return [{"figures": {"psnr": [make(bench) + seed, 1]}, "seconds": 1.0} for seed in bench.scenes]

    monkeypatch.setattr(table, "WORK", tmp_path)
    monkeypatch.setattr(table, "open_bench", lambda seeds, looks, frames: Stub(list(seeds)))
    monkeypatch.setattr(table, "_row", row)
    return asked


def test_a_run_that_was_cut_off_goes_on_where_it_was(measured):
    def cut(bench):
        if len(measured) == 2:
            raise KeyboardInterrupt
        return 20.0

    tried = Table("tried", "Tried", {"a": lambda bench: 10.0, "b": cut}, "a")
    with pytest.raises(KeyboardInterrupt):
        table.measure_rows(tried, [1, 2, 3], "weights")
    scenes = table.measure_rows(tried, [1, 2, 3, 4], "weights")
    assert measured == [[1, 2, 3], [1, 2, 3], [4], [1, 2, 3, 4]]  # only what was cut off once more
    assert [scene["rows"]["b"]["figures"]["psnr"] for scene in scenes] == [[20.0 + seed, 1] for seed in (1, 2, 3, 4)]
    table.measure_rows(tried, [1, 2], "weights")
    assert len(measured) == 4
    table.measure_rows(tried, [1], "other weights")
    assert measured[4:] == [[1], [1]]


def test_what_is_finished_is_a_table_without_the_rest(measured):
    claims = (Claim("a", "psnr", "a", "a"), Claim("b", "psnr", "b", "a"))
    tried = Table("tried", "Tried", {"a": lambda bench: 10.0}, "a", claims=claims)
    table.measure_rows(tried, [1, 2], "weights")
    longer = replace(tried, rows={**tried.rows, "b": lambda bench: 20.0})
    assert table.finished(longer, [1, 2], "weights") == replace(tried, claims=claims[:1])
    assert not table.finished(longer, [1, 2, 3], "weights").rows


def rows(**scenes):
    return [{"row": name, "by_scene": {"psnr": pairs}} for name, pairs in scenes.items()]


@pytest.mark.parametrize(
    ("ours", "by", "verdict"),
    [
        ([3.0, 4.0, 4.0, 4.0, 5.0], 0.0, "confirmed"),  # 1 to 2 above
        ([3.0, 4.0, 4.0, 4.0, 5.0], 2.5, "refuted"),
        ([3.0, 4.0, 4.0, 4.0, 5.0], 1.5, "undecided"),
        ([2.0, 2.0, 2.0, 2.0, 3.0], 0.0, "refuted"),  # equal is not above
        ([3.0, 4.0], 0.0, "confirmed so far"),
    ],
)
def test_a_claim_is_decided_where_its_whole_interval_is_on_one_side(ours, by, verdict):
    theirs = [2.0, 2.0, 2.0, 2.0, 3.0][: len(ours)]
    pairs = rows(a=[[value, 1] for value in ours], b=[[value, 1] for value in theirs])
    checked = Claim("a is above b", "psnr", "a", "b", by).checked(pairs)
    assert checked["verdict"] == verdict
    assert checked["value"] == pytest.approx((sum(ours) - sum(theirs)) / len(ours))


def test_shares_are_compared_over_all_views():
    checked = Claim("a", "psnr", "a", "b").checked(rows(a=[[4, 4], [9, 12]], b=[[2, 4], [9, 12]]))
    assert checked["value"] == 2 / 16
    nothing = Claim("a", "psnr", "a", "b").checked(rows(a=[[0, 0]], b=[[0, 0]]))
    assert nothing["value"] is None and nothing["verdict"] == "undecided"


LEVELS = {"raw": 0.3, "enhanced": 0.5, "enhanced, gated": 0.6, "photoreal": 0.7}


def test_the_gap_that_frames_close_is_their_share_of_the_way():
    scene = torch.tensor([0.0, 0.1, 0.2], dtype=torch.float64)  # what makes one scene harder cancels out
    values = {arm: (scene + level).expand(2, 3) for arm, level in LEVELS.items()}
    parts = downstream.summaries(values, "miou", "gap")
    assert [part["gap"] for part in parts.values()] == pytest.approx([0, 0.5, 0.75, 1])
    assert parts["enhanced"]["interval"]["gap"] == pytest.approx([0.5, 0.5])
    assert parts["raw"]["miou"] == pytest.approx(0.4)


def test_without_a_gap_there_is_no_share_of_it():
    scene = torch.tensor([0.0, 0.1, 0.2], dtype=torch.float64)
    values = {arm: (scene + LEVELS["raw"]).expand(2, 3) for arm in LEVELS}
    parts = downstream.summaries(values, "ap50", "ap50_gap")
    assert {part["ap50_gap"] for part in parts.values()} == {None} and "ap50_gap" not in parts["raw"]["interval"]


def test_a_test_scene_without_objects_counts_for_no_arm():
    scene = torch.tensor([0.0, float("nan"), 0.2], dtype=torch.float64)
    values = {arm: (scene + level).expand(2, 3) for arm, level in LEVELS.items()}
    parts = downstream.summaries(values, "ap50", "ap50_gap")
    assert parts["raw"]["by_scene"]["ap50"] == [pytest.approx([0.3, 1]), [0.0, 0], pytest.approx([0.5, 1])]
    rows = [downstream.joined(arm, [part], 9) for arm, part in parts.items()]
    assert Claim("enhanced is above raw", "ap50", "enhanced", "raw").checked(rows)["value"] == pytest.approx(0.2)


def test_the_gated_arm_is_the_scenes_that_the_gate_accepts():
    truth = {name: torch.zeros(2, 4, 4) for name in ("depth", "classes", "instances")}
    looks = {look: torch.full((2, 4, 4, 3), value, dtype=torch.uint8) for value, look in enumerate(("raw", "enhanced"))}
    scenes = [{**truth, **looks, "accepted": torch.tensor([accepted])} for accepted in (True, False, True)]
    shown = {
        arm: [int(each.rgb.max()) for each in downstream.training_shards(scenes, arm)]
        for arm in (downstream.RAW, downstream.ENHANCED, downstream.GATED, downstream.PLANTED, downstream.SORTED)
    }
    assert list(shown.values()) == [[0, 0, 0], [1, 1, 1], [1, 1], [1, 1, 1], [1, 1]]


def test_failed_jobs_are_another_street_a_street_made_up_and_a_plain_colour(bench, monkeypatch):
    monkeypatch.setattr(training_scenes, "open_bench", lambda seeds: bench)
    right = bench.model.decode(bench.job(EnhanceSettings()))
    *made, flat = (fail(bench) for fail in training_scenes.FAILURES)
    assert torch.allclose(flat[:4], right[:4]) and float(flat[4:].std((1, 2)).max()) < 1e-5
    assert all(frames.shape == right.shape and not torch.allclose(frames, right) for frames in made)


def test_a_training_counts_when_every_arm_is_scored_on_every_test_scene(tmp_path, monkeypatch):
    monkeypatch.setattr(downstream, "FOLDER", tmp_path)
    for arm, run, seeds in (("raw", 0, (1, 2)), ("photoreal", 0, (1, 2)), ("raw", 1, (1, 2)), ("photoreal", 1, (1,))):
        folder = downstream.training_folder("detector", arm, run)
        folder.mkdir(parents=True)
        (folder / "scores.json").write_text(json.dumps(dict.fromkeys(map(str, seeds), 0.5)))
    arms = {"raw", "photoreal"}
    assert downstream.finished_runs("detector", arms, {1: None}) == 2
    assert downstream.finished_runs("detector", arms, {1: None, 2: None}) == 1
    assert downstream.finished_runs("segmentation", arms, {1: None}) == 0
