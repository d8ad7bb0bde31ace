"""Fixtures that need a real ComfyUI. Without one, everything that asks for them skips, and one line says why."""

import pytest
from comfy_server import NoComfyUI, Server, find_comfyui


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


def pytest_collection_modifyitems(items):
    """A shipped workflow's two forms follow each other, last: the second run is then served from the node cache."""
    order = {item: item.callspec.params["name"] for item in items if "[" in item.name and "test_shipped" in item.name}
    items.sort(key=lambda item: order.get(item, ""))


def pytest_terminal_summary(terminalreporter):
    """One line per reason, however many tests skipped for it; pytest alone shows none without -rs."""
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if "tests/comfy" in report.nodeid]
    for reason in dict.fromkeys(report.longrepr[2].removeprefix("Skipped: ") for report in skipped):
        terminalreporter.write_line(f"tests/comfy skipped: {reason}")
