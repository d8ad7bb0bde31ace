"""The headless runner without a server: what it makes of a graph file, settings, inputs and server answers."""

import json
import socket

import pytest
import run_workflow
from comfy_client import Client, ClientError, WebSocket
from workflow_graph import apply_settings, check_classes, parse_value, place_file, read_graph, split_setting

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


@pytest.mark.parametrize(
    "content, words",
    [
        (None, "cannot be read"),
        ("{", "is no JSON file"),
        ('{"nodes": [], "links": []}', "API form"),
        ("[]", "no graph in API form"),
        ('{"1": {"inputs": {}}}', "no graph in API form"),
    ],
)
def test_a_file_that_is_no_api_graph_is_refused_in_one_sentence(tmp_path, capsys, content, words):
    path = tmp_path / "graph.json"
    if content is not None:
        path.write_text(content)
    assert run_workflow.main([str(path)]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    with pytest.raises(ClientError):
        read_graph(path)


def test_a_server_that_is_not_there_is_one_sentence(tmp_path, capsys, graph):
    path = tmp_path / "graph.json"
    path.write_text(json.dumps(graph))
    with socket.socket() as taken:  # bound, not listening: refuses
        taken.bind(("127.0.0.1", 0))
        server = f"127.0.0.1:{taken.getsockname()[1]}"
        assert run_workflow.main([str(path), "--server", server]) == 2
    error = capsys.readouterr().err
    assert f"No ComfyUI answers at http://{server}" in error and error.count("\n") == 1


@pytest.mark.parametrize("server", ["ftp://host:1", "host:port", "://", ""])
def test_a_server_that_is_no_address_is_refused(server):
    with pytest.raises(ClientError, match="--server"):
        Client(server)


@pytest.mark.parametrize("name", ["../../evil.png", "/etc/evil.png", "..\\evil.png", "C:evil.png", "a/b/evil.png"])
def test_outputs_never_leave_the_folder(tmp_path, name):
    taken = set()
    assert run_workflow.output_path(tmp_path, name, "7", taken) == tmp_path / "evil.png"
    assert run_workflow.output_path(tmp_path, "evil.png", "9:../2", taken).parent == tmp_path
    assert len(taken) == 2


@pytest.mark.parametrize("name", ["..", ".", "", "a/.."])
def test_outputs_without_a_file_name_are_refused(tmp_path, name):
    with pytest.raises(ClientError, match="no file name"):
        run_workflow.output_path(tmp_path, name, "7", set())


def test_refusals_name_node_and_input(graph):
    error = {"message": "Value too big", "details": "steps 5 > 3", "extra_info": {"input_name": "steps"}}
    answer = {"error": {"message": "Prompt outputs failed"}, "node_errors": {"1": {"errors": [error]}}}
    assert run_workflow.refusals(graph, answer) == [
        '"SD1.5 Sampler" (KSampler), input steps: Value too big (steps 5 > 3)'
    ]
    assert "Prompt outputs failed" in run_workflow.refusals(graph, {"error": answer["error"]})[0]


def frame(payload, opcode=1, final=True):
    size = len(payload)
    head = bytes([128 * final | opcode])
    if size < 126:
        return head + bytes([size]) + payload
    if size < 65536:
        return head + bytes([126]) + size.to_bytes(2, "big") + payload
    return head + bytes([127]) + size.to_bytes(8, "big") + payload


def test_websocket_reads_all_frame_sizes_in_pieces_and_answers_pings():
    near, far = socket.socketpair()
    events = WebSocket.__new__(WebSocket)
    events._socket, events._buffer = near, b""
    texts = [json.dumps({"n": "x" * size}) for size in (1, 300, 70000)]
    stream = b"".join(frame(text.encode()) for text in texts)
    stream += frame(b"preview", 2) + frame(b"p" * 20, 9)
    stream += frame(b'{"n":', final=False) + frame(b"", 10) + frame(b'"split"}', 0) + frame(b"", 8)
    with near, far:
        far.sendall(stream[:10])
        messages = events.messages()
        far.sendall(stream[10:50000])
        assert [next(messages) for _ in range(2)] == [json.loads(text) for text in texts[:2]]
        far.sendall(stream[50000:])
        assert list(messages) == [json.loads(texts[2]), {"n": "split"}]
        pong = far.recv(100)
    assert pong[:2] == bytes([128 | 10, 128 | 20])  # clients must mask
    assert bytes(byte ^ pong[2 + i % 4] for i, byte in enumerate(pong[6:])) == b"p" * 20


def test_a_server_that_goes_away_is_an_error_and_not_a_success():
    near, far = socket.socketpair()
    events = WebSocket.__new__(WebSocket)
    events._socket, events._buffer = near, b""
    with near:
        far.sendall(frame(b"{}"))
        far.close()
        with pytest.raises(ClientError, match="closed the connection"):
            list(events.messages())
