"""What a batch is to make: the manifest, the hashes that tell a result from another, shards, reproducing commands."""

import json
import shlex

import pytest

from pipeline_core.batch import hashes
from pipeline_core.batch.clips import Source, find_clips
from pipeline_core.batch.engines.comfyui import graph_of
from pipeline_core.batch.engines.slurm import array_shard
from pipeline_core.batch.hashes import code_hash, model_hash
from pipeline_core.batch.networks import NetworkChoice
from pipeline_core.batch.plan import make_plan, write_manifest
from pipeline_core.batch.quarantine import command_for
from pipeline_core.batch.recipe import Recipe, Variant, parse_recipe
from pipeline_core.batch.rows import Task
from pipeline_core.cli.commands import parse
from pipeline_core.cli.enhance import given_settings
from pipeline_core.cli.enhance_folder import parse_shard
from pipeline_core.errors import UserError
from pipeline_core.job.table import SETTINGS, parse_settings


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / "in" / "town").mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / "town" / f"{name}.mp4").write_bytes(name.encode() * 100)
    buffers = tmp_path / "in" / "town" / "a_buffers"
    (buffers / "depth").mkdir(parents=True)
    (buffers / "buffers.json").write_text("{}")
    (buffers / "depth" / "000000.png").write_bytes(b"1234")
    return tmp_path / "in"


def plan_of(folder, **named):
    recipe = named.pop("recipe", Recipe())
    return make_plan(folder, folder.parent / "out", recipe, named.pop("choice", NetworkChoice()), **named)


def hashes_of(folder, **named):
    return {task.name: task.hashes for task in plan_of(folder, **named).tasks}


def test_the_manifest_says_what_is_made_of_what(folder):
    plan = plan_of(folder, recipe=parse_recipe({"looks": ["night", "rain"]}), settings={"steps": 3})
    assert [task.name for task in plan.tasks[:2]] == ["town__a.night-0", "town__a.rain-0"] and len(plan.tasks) == 6
    assert all(task.variant.settings["steps"] == 3 for task in plan.tasks)
    write_manifest(plan)
    manifest = json.loads((plan.out / "manifest.json").read_text())
    assert manifest["version"] == 1 and manifest["input"] == str(folder)
    assert set(manifest["hashes"]) == {"settings", "model", "code"} and manifest["recipe"]["looks"].keys() == {
        "night",
        "rain",
    }
    first, second = manifest["clips"][:2]
    assert first.pop("stamp") != first["hash"] and first == {
        "id": "town__a",
        "clip": "town/a.mp4",
        "buffers": "town/a_buffers",
        "hash": plan.tasks[0].hashes["input"],
    }
    assert second["buffers"] is None and len({clip["hash"] for clip in manifest["clips"]}) == 3
    assert plan_of(folder, shard=(2, 3), recipe=plan.recipe).names == plan.names == {t.name for t in plan.tasks}
    before = (plan.out / "manifest.json").stat().st_ino
    write_manifest(plan)
    assert (plan.out / "manifest.json").stat().st_ino == before


def test_a_folder_of_something_else_is_left_alone(folder):
    (folder.parent / "out").mkdir()
    (folder.parent / "out" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="something else than a batch"):
        write_manifest(plan_of(folder))


def test_a_hash_changes_with_what_it_is_of_and_with_nothing_else(folder, model_folder):
    first = hashes_of(folder)
    assert hashes_of(folder) == first and all(None not in of.values() for of in first.values())
    (folder / "town" / "a_buffers" / "depth" / "000000.png").write_bytes(b"12345")
    (folder / "town" / "b.mp4").write_bytes(b"other")
    second = hashes_of(folder)
    changed = {name for name in first if first[name]["input"] != second[name]["input"]}
    assert changed == {"town__a.default-0", "town__b.default-0"}
    for named in ({"settings": {"steps": 4}}, {"settings": {"seed": 3}}, {"recipe": parse_recipe({"gate": False})}):
        other = hashes_of(folder, **named)["town__c.default-0"]
        assert other["settings"] != first["town__c.default-0"]["settings"], named
        assert {**other, "settings": 0} == {**first["town__c.default-0"], "settings": 0}
    other = hashes_of(folder, choice=NetworkChoice(str(model_folder)))["town__c.default-0"]
    assert other["model"] != first["town__c.default-0"]["model"]
    assert {**other, "model": 0} == {**first["town__c.default-0"], "model": 0}
    assert model_hash(NetworkChoice(precision="bf16")) != model_hash(NetworkChoice(precision="fp32"))
    assert model_hash(NetworkChoice(device="cpu")) == model_hash(NetworkChoice())
    (folder / "look.safetensors").write_bytes(b"a LoRA")
    half, whole = (model_hash(NetworkChoice(loras=(f"{folder / 'look.safetensors'}:{w}",))) for w in (0.5, 1))
    pushed = model_hash(NetworkChoice(simdrop_reference=f"{folder / 'look.safetensors'}:1"))
    assert len({half, whole, pushed, model_hash(NetworkChoice())}) == 4
    assert len(code_hash()) == 64


def test_a_picture_of_the_same_size_with_other_content_is_another_input(folder):
    write_manifest(plan_of(folder))
    first = hashes_of(folder)
    (folder / "town" / "a_buffers" / "depth" / "000000.png").write_bytes(b"4321")
    second = hashes_of(folder)
    changed = {name for name in first if first[name]["input"] != second[name]["input"]}
    assert changed == {"town__a.default-0"}


def test_files_that_stayed_as_they_are_are_not_read_again(folder, monkeypatch):
    write_manifest(plan_of(folder))
    first, read = hashes_of(folder), []
    fingerprint = hashes.fingerprint
    monkeypatch.setattr(hashes, "fingerprint", lambda path: read.append(path.name) or fingerprint(path))
    assert hashes_of(folder) == first and read == []
    (folder / "town" / "b.mp4").write_bytes(b"b" * 100)
    assert hashes_of(folder) == first and read == ["b.mp4"], "another time, the same content"
    (folder.parent / "out" / "manifest.json").write_text('{"version": 1, "clips": [3]}')
    assert hashes_of(folder) == first and len(read) == 1 + 5


def test_results_that_lie_in_a_recording_are_no_part_of_it(tmp_path):
    """A recording's own folder is the folder of the clips, and the output lies in it."""
    for name in ("rgb.mp4", "depth.mp4"):
        (tmp_path / name).write_bytes(name.encode())
    (source,) = find_clips(tmp_path, tmp_path / "out")
    before = hashes.input_of(source, tmp_path / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "row.json").write_text("{}")
    assert source.buffers == tmp_path and hashes.input_of(source, tmp_path / "out") == before
    assert hashes.input_of(source).hash != before.hash
    (tmp_path / "depth.mp4").write_bytes(b"DEPTH.mp4")
    assert hashes.input_of(source, tmp_path / "out").hash != before.hash


def test_a_clip_that_cannot_be_read_is_a_task_all_the_same(folder):
    (folder / "town" / "b.mp4").unlink()
    (folder / "town" / "b.mp4").symlink_to(folder / "gone")
    (folder / "town" / "c.mp4").chmod(0)
    plan = plan_of(folder)
    assert [source.id for source, _ in plan.sources] == ["town__a", "town__c"]


def test_shards_are_disjoint_and_together_everything(folder):
    names = [{task.name for task in plan_of(folder, shard=(number, 2)).tasks} for number in (1, 2)]
    assert not names[0] & names[1] and names[0] | names[1] == {task.name for task in plan_of(folder).tasks}
    assert parse_shard("2/8") == (2, 8)
    for text in ("0/8", "9/8", "2", "a/b", "1/0", "-1/2", "1/2/3", "²/8"):
        with pytest.raises(UserError, match="change --shard"):
            parse_shard(text)


@pytest.mark.parametrize(
    "number, least, most, step, shard", [(0, 0, 7, 1, (1, 8)), (7, 0, 7, 1, (8, 8)), (12, 4, 20, 4, (3, 5))]
)
def test_an_array_s_jobs_share_the_clips(number, least, most, step, shard):
    names = {"ID": number, "MIN": least, "MAX": most, "STEP": step, "COUNT": shard[1]}
    assert array_shard({f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in names.items()}) == shard
    assert array_shard({"SLURM_ARRAY_TASK_ID": "3"}) == array_shard({}) == (1, 1)


def test_settings_that_the_model_does_not_take_are_refused_before_anything_is_made(folder):
    with pytest.raises(UserError, match="no control 'fog'"):
        plan_of(folder, settings={"controls": {"fog": 1.0}})
    with pytest.raises(UserError):
        plan_of(folder, choice=NetworkChoice(model=str(folder)))


ALL = {
    "prompt": '-a "night", it\'s wet\nand $HOME',
    "negative_prompt": "",
    "inversion_prompt": "a render",
    "start": "sdedit",
    "strength": 0.7,
    "cfg": 2.5,
    "cfg_range": (0.5, 3.0),
    "controls": {"edge": 1.0, "depth": 0.25},
    "anchor_colours": True,
    "steps": 3,
}


def test_the_command_of_a_failure_does_the_same_to_the_clip_alone(folder):
    source = plan_of(folder).sources[0][0]
    choice = NetworkChoice(model="/m o/d", device="cpu", precision="fp32", loras=("/look:0.5", "/other"))
    command = command_for(folder, Task(source, Variant("night-0", ALL, "night", 0, 2**62), {}), choice)
    options = parse(shlex.split(command)[3:])
    assert given_settings(options) == {**ALL, "seed": 2**62}
    assert (options.input, options.buffers) == (source.clip, source.buffers)
    assert (str(options.model), options.device, options.precision) == ("/m o/d", "cpu", "fp32")
    assert options.lora == ["/look:0.5", "/other"] and options.simdrop_reference is None


def test_the_command_of_a_failure_names_a_reference_only_where_it_is_used(folder):
    source, choice = plan_of(folder).sources[0][0], NetworkChoice(simdrop_reference="/renders:0.5")
    for settings, expected in (({"simdrop": 0.2}, "/renders:0.5"), ({}, None)):
        command = command_for(folder, Task(source, Variant("day-0", settings, "day", 0, 1), {}), choice)
        assert parse(shlex.split(command)[3:]).simdrop_reference == expected


def test_the_command_of_a_recording_that_cannot_be_read_reads_it(tmp_path):
    source = Source("town__rgb", tmp_path / "rgb.mp4", tmp_path, "front")
    task, out = Task(source, Variant("day-0", {}, "day", 0, 1), {}), tmp_path / "out"
    options = parse(shlex.split(command_for(out, task, NetworkChoice()))[3:])
    assert (options.clip, options.recording, options.camera) == (source.clip, tmp_path, "front")
    (out / "buffers" / "town__rgb").mkdir(parents=True)
    options = parse(shlex.split(command_for(out, task, NetworkChoice()))[3:])
    assert (options.input, options.buffers) == (source.clip, out / "buffers" / "town__rgb")


def test_the_graph_for_a_server_holds_every_setting(folder):
    prompts = {"prompt": ALL["prompt"], "negative_prompt": "a render", "inversion_prompt": "a street"}
    settings = {**ALL, **prompts}
    graph, node, shown = graph_of("a.mp4", Variant("night-0", settings, "night", 0, 2**62), NetworkChoice("/x/mine"))
    inputs = graph[node]["inputs"]
    read = {"prompt": inputs["prompt"], **parse_settings(inputs["settings"])}
    assert read == {**settings, "seed": 2**62} and set(read) <= set(SETTINGS)
    assert (inputs["video"], inputs["model"], inputs["depth_model"]) == ("a.mp4", "mine", "none")
    assert graph[shown]["inputs"]["source"] == [node, 1] and len(graph) == 2
    with pytest.raises(UserError, match="negative_prompt"):
        graph_of("a.mp4", Variant("n-0", {"negative_prompt": "a; b"}, None, 0, 1), NetworkChoice())
