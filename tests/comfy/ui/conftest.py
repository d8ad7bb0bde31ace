"""The real frontend in headless Chromium, one for the whole test run."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from comfy_server import Server

SCRIPT = Path(__file__).with_name("check_workflow.mjs")
FOLDER = "~/comfy/frontend/comfyui_frontend_package/static"  # of `pip install --target ~/comfy/frontend`
NEWEST = Path(os.environ.get("VIDEOREALISM_FRONTEND", FOLDER)).expanduser()
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@pytest.fixture(scope="session")
def asked_for():
    """Skips unless `make test-ui` asked: a page of the frontend takes a dozen seconds to come up."""
    if not os.environ.get("UI"):
        pytest.skip("The browser check is a command of its own, make test-ui")


def browser_commands():
    """(node, folder with playwright-core, browser); skips with one line that says what is missing."""
    packages = Path(os.environ.get("VIDEOREALISM_BROWSER", "~/comfy/browser")).expanduser()
    node = shutil.which("node")
    browser = os.environ.get("VIDEOREALISM_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not (packages / "node_modules" / "playwright-core").is_dir() or not node or not browser:
        pytest.skip(
            "The browser check needs node, Chromium and VIDEOREALISM_BROWSER, a folder where "
            "'npm install playwright-core' was run"
        )
    return node, packages, browser


class Frontend:
    def __init__(self, command):
        self.mode = command[-1]
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True
        )
        self.start = self._answer()

    def check(self, workflow, queue=True, timeout=600, videos=False, screenshot=None, blueprint=None):
        """What the frontend makes of a UI workflow: missing, droppedLinks, overlaps, spills, unshown, prompt,
        pageErrors, warnings, lostPreviews, and where asked for, videos and placed, the texts of a blueprint; after a
        run queued, changedWidgets, overlapsAfter, spillsAfter, unshownAfter, reports and lostReports."""
        job = {"workflow": workflow, "queue": queue, "timeout": timeout, "videos": videos, "blueprint": blueprint}
        self._process.stdin.write(json.dumps({**job, "screenshot": screenshot and str(screenshot)}) + "\n")
        self._process.stdin.flush()
        result = self._answer()
        assert "failed" not in result, result["failed"]
        return result

    def _answer(self):
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise AssertionError(f"the browser ended:\n{self._errors.read()[-3000:]}")
        return json.loads(line)

    def close(self):
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()


@pytest.fixture(scope="session")
def showing(asked_for, comfyui, tmp_path_factory):
    """A server with latent previews on, and with the newest frontend where there is one."""
    flags = ["--preview-method", "latent2rgb"]
    if (NEWEST / "index.html").is_file():
        flags += ["--front-end-root", str(NEWEST)]
    server = Server(*comfyui, tmp_path_factory.mktemp("showing") / "base", *flags)
    try:
        server.wait_until_up()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session", params=["classic", "nodes2"])
def frontend(showing, request):
    """The frontend as it draws nodes on its canvas, and as Nodes 2.0."""
    node, packages, browser = browser_commands()
    frontend = Frontend([node, str(SCRIPT), str(packages), browser, f"http://{showing.address}", request.param])
    yield frontend
    frontend.close()
