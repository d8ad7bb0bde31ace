"""Fixtures that need a real ComfyUI. Without one, everything that asks for them skips, and one line says why."""

import pytest
from comfy_server import NoComfyUI, Server, find_comfyui

_skipped_because = []


@pytest.fixture(scope="session")
def comfyui():
    """(folder, python) of the ComfyUI under test."""
    try:
        return find_comfyui()
    except NoComfyUI as reason:
        if reason.asked_for:
            pytest.fail(str(reason), pytrace=False)
        _skipped_because.append(str(reason))
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


def pytest_terminal_summary(terminalreporter):
    for reason in _skipped_because[:1]:
        terminalreporter.write_line(f"tests/comfy skipped: {reason}")
