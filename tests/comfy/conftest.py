"""Fixtures that need a real ComfyUI. Without one, everything that asks for them skips, and one line says why."""

import json
import subprocess

import pytest
from comfy_server import ROOT, NoComfyUI, Server, find_comfyui

from client.own_server import environment

START = """
import importlib.util, json, sys
sys.path.insert(0, sys.argv[1])
sys.path.append(sys.argv[2])
import comfy.cli_args
comfy.cli_args.args.cpu = True
import torch
"""


@pytest.fixture(scope="session")
def comfyui():
    """(folder, python) of the ComfyUI under test."""
    try:
        return find_comfyui()
    except NoComfyUI as reason:
        if reason.asked_for:
            pytest.fail(str(reason), pytrace=False)
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def server(comfyui, tmp_path_factory):
    """One running server for the whole test run."""
    server = Server(*comfyui, tmp_path_factory.mktemp("comfyui") / "base")
    try:
        server.wait_until_up()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def inside(comfyui):
    """Runs lines in the Python of ComfyUI, without a server, and reads the JSON they print last."""
    folder, python = comfyui

    def run(script, *arguments):
        command = [python, "-c", START + script, str(folder), str(ROOT), *map(str, arguments)]
        done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.strip().splitlines()[-1])

    return run


def pytest_collection_modifyitems(items):
    """A shipped workflow's two forms follow each other, last: the second run is then served from the node cache. Not so
    in the browser, which would be another one for every test."""
    shipped = (item for item in items if "[" in item.name and "test_shipped" in item.name)
    order = {item: item.callspec.params["name"] for item in shipped if "frontend" not in item.fixturenames}
    items.sort(key=lambda item: order.get(item, ""))


def pytest_terminal_summary(terminalreporter):
    """One line per reason, however many tests skipped for it; pytest alone shows none without -rs."""
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if "tests/comfy" in report.nodeid]
    for reason in dict.fromkeys(report.longrepr[2].removeprefix("Skipped: ") for report in skipped):
        terminalreporter.write_line(f"tests/comfy skipped: {reason}")
