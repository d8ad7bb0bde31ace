"""The headless runner without a server: its answers to bad input, and what it needs to run at all."""

import ast
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import run_workflow

from client.errors import ClientError
from client.workflow_graph import read_graph

SCRIPTS = Path(__file__).parents[2] / "scripts"
GRAPH = {"1": {"class_type": "KSampler", "inputs": {"steps": 5}, "_meta": {"title": "Sampler"}}}


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


def test_a_server_that_is_not_there_is_one_sentence(tmp_path, capsys):
    path = tmp_path / "graph.json"
    path.write_text(json.dumps(GRAPH))
    with socket.socket() as taken:  # bound, not listening: refuses
        taken.bind(("127.0.0.1", 0))
        server = f"127.0.0.1:{taken.getsockname()[1]}"
        assert run_workflow.main([str(path), "--server", server]) == 2
    error = capsys.readouterr().err
    assert f"No ComfyUI answers at http://{server}" in error and error.count("\n") == 1


def imported(file):
    """The top names of everything that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.partition(".")[0]


def test_the_runner_and_the_client_import_the_standard_library_alone():
    for file in (SCRIPTS / "run_workflow.py", *(SCRIPTS / "client").glob("*.py")):
        assert set(imported(file)) <= {*sys.stdlib_module_names, "client"}, file


def test_the_runner_starts_from_any_folder_with_nothing_installed(tmp_path):
    (tmp_path / "graph.json").write_text(json.dumps(GRAPH))
    # -S: without site-packages; -E: without PYTHONPATH
    command = [sys.executable, "-S", "-E", str(SCRIPTS / "run_workflow.py"), "graph.json", "--server", "127.0.0.1:1"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 2 and "No ComfyUI answers at http://127.0.0.1:1" in ended.stderr, ended.stderr
