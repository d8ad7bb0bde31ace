"""A graph on its way through a server: what a refusal says, and what the terminal shows."""

import pytest

from client.progress import Progress
from client.runs import refusals


@pytest.fixture
def graph():
    return {
        "1": {"class_type": "KSampler", "inputs": {"steps": 5}, "_meta": {"title": "SD1.5 Sampler"}},
        "2": {"class_type": "Text", "inputs": {"text": "a street"}, "_meta": {"title": "Prompt"}},
    }


def test_refusals_name_node_and_input(graph):
    error = {"message": "Value too big", "details": "steps 5 > 3", "extra_info": {"input_name": "steps"}}
    answer = {"error": {"message": "Prompt outputs failed"}, "node_errors": {"1": {"errors": [error]}}}
    assert refusals(graph, answer) == ['"SD1.5 Sampler" (KSampler), input steps: Value too big (steps 5 > 3)']
    assert "Prompt outputs failed" in refusals(graph, {"error": answer["error"]})[0]


def test_without_a_terminal_there_is_one_line_a_node(graph, capsys):
    progress = Progress(graph)
    for node_id in ("1", "1", "2"):
        progress.start(node_id)
        progress.step(node_id, 1, 4)
    progress.done(list(graph))
    progress.close()
    assert capsys.readouterr().err == "SD1.5 Sampler\nPrompt\n"


def test_on_a_terminal_one_line_is_written_over(graph, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "30")
    progress = Progress(graph)
    progress.waiting(3)
    progress.start("1")
    progress.step("1", 2, 4)
    progress.start("2")
    progress.close()
    shown = capsys.readouterr().err
    lines = shown.rstrip("\n").split("\r")[1:]
    assert shown.count("\n") == 1 and {len(line) for line in lines} == {29}
    assert lines[0].startswith("0/2 nodes  waiting, 3 in the")
    assert "0/2 nodes  SD1.5 Sampler 2/4 " in lines
    assert lines[-1].split() == ["1/2", "nodes", "Prompt"]
