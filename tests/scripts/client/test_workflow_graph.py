"""What a person may write about a graph: settings by title, files by loader, and what is refused."""

import pytest

from client.errors import ClientError
from client.workflow_graph import apply_settings, check_classes, parse_value, place_file, split_setting

INFO = {
    "KSampler": {"input": {"required": {"steps": ["INT", {}], "model": ["MODEL", {}]}, "optional": {"extra": ["INT"]}}},
    "Text": {"input": {"required": {"text": ["STRING", {}], "on": ["BOOLEAN", {}]}}},
    "LoadVideo": {"input": {"required": {"file": ["COMBO", {"video_upload": True}]}}},
    "LoadImage": {"input": {"required": {"image": [["a.png"], {"image_upload": True}]}}},
}


@pytest.fixture
def graph():
    return {
        "1": {"class_type": "KSampler", "inputs": {"steps": 5, "model": ["2", 0]}, "_meta": {"title": "SD1.5 Sampler"}},
        "2": {"class_type": "Text", "inputs": {"text": "a street", "on": True}, "_meta": {"title": "Prompt"}},
        "3": {"class_type": "Text", "inputs": {"text": "", "on": False}, "_meta": {"title": "Twin"}},
        "4": {"class_type": "Text", "inputs": {"text": "", "on": False}, "_meta": {"title": "Twin"}},
        "5": {"class_type": "LoadVideo", "inputs": {"file": ""}, "_meta": {"title": "Clip"}},
    }


def test_settings_go_to_the_input_of_the_titled_node(graph):
    settings = ["SD1.5 Sampler.steps=12", "1.extra=3", "Prompt.text=42", "Prompt.on=false", "3.text=a=b.c", "4.on=true"]
    apply_settings(graph, settings, INFO)
    assert graph["1"]["inputs"] == {"steps": 12, "model": ["2", 0], "extra": 3}
    assert graph["2"]["inputs"] == {"text": "42", "on": False}
    assert graph["3"]["inputs"]["text"] == "a=b.c"
    assert graph["4"]["inputs"]["on"] is True


@pytest.mark.parametrize(
    "text, present, value",
    [
        ("0.5", 1.0, 0.5),
        ("NaN", 1.0, "NaN"),
        ("fast", 3, "fast"),
        ('"quoted"', "x", "quoted"),
        ('["2", 1]', "x", ["2", 1]),
        ("[1, 2]", "x", "[1, 2]"),
        ("true", "x", "true"),
    ],
)
def test_values_are_json_where_that_makes_sense(graph, text, present, value):
    assert parse_value(graph, text, present) == value


@pytest.mark.parametrize(
    "setting, words",
    [
        ("Sampler.steps=3", ['No node has the title or id "Sampler"', '"SD1.5 Sampler"', '"Prompt"']),
        ("SD1.6 Sampler.steps=3", ['"SD1.6 Sampler"']),
        ("Twin.text=x", ['2 nodes have the title "Twin"', "3, 4"]),
        ("SD1.5 Sampler.stepz=3", ["no input stepz", "steps, model, extra"]),
        ("steps=3", ["--set steps=3", "Node title.input=value"]),
        ("Prompt.text", ["--set Prompt.text", "Node title.input=value"]),
        ("Prompt.on=False", ['"Prompt" (Text).on', "true or false"]),
    ],
)
def test_a_setting_that_fits_nowhere_says_what_would(graph, setting, words):
    with pytest.raises(ClientError) as raised:
        apply_settings(graph, [setting], INFO)
    assert all(word in str(raised.value) for word in words), str(raised.value)


def test_the_longest_title_wins_when_dots_leave_a_choice(graph):
    graph["6"] = {"class_type": "Text", "inputs": {"text": ""}, "_meta": {"title": "SD1"}}
    assert split_setting(graph, "SD1.5 Sampler.steps=3", INFO) == ("1", "steps", "3")
    assert split_setting(graph, "SD1.text=3", INFO) == ("6", "text", "3")


def test_files_go_to_the_only_loader_of_their_kind_or_to_the_named_one(graph, tmp_path):
    clip, picture = tmp_path / "clip=1.mp4", tmp_path / "a.png"
    clip.touch()
    picture.touch()
    assert place_file(graph, str(clip), INFO) == (clip, "5", "file")
    graph["6"] = {"class_type": "LoadImage", "inputs": {"image": ""}, "_meta": {"title": "Map"}}
    assert place_file(graph, str(clip), INFO)[1] == "5"
    assert place_file(graph, str(picture), INFO) == (picture, "6", "image")
    assert place_file(graph, f"Map={picture}", INFO)[1] == "6"
    graph["7"] = {"class_type": "LoadVideo", "inputs": {"file": ""}, "_meta": {"title": "Other clip"}}
    for given, words in [
        (str(clip), ['"Clip" (LoadVideo), "Other clip" (LoadVideo)', "say which one"]),
        (f"Prompt={clip}", ['"Prompt" (Text) takes no file']),
        (str(tmp_path / "none.mp4"), ["is no file"]),
    ]:
        with pytest.raises(ClientError) as raised:
            place_file(graph, given, INFO)
        assert all(word in str(raised.value) for word in words), str(raised.value)


def test_missing_nodes_are_named_with_where_they_come_from(graph):
    check_classes(graph, INFO)
    graph["8"] = {"class_type": "VideoRealismX", "inputs": {}}
    with pytest.raises(ClientError, match="lacks VideoRealismX: install or update ComfyUI-VideoRealism"):
        check_classes(graph, INFO)
    with pytest.raises(ClientError, match="lacks Text: update ComfyUI or install the pack"):
        check_classes({"2": graph["2"]}, {"Text": {}})
