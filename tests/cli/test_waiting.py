"""The entry points choose how torch's threads wait, before torch is there; nothing else touches the environment."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline_core.cli.waiting import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
# Runs or imports what it is told and ends where torch would be imported, saying how its threads would wait.
WATCH = """
import importlib, os, runpy, sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print(os.environ.get("OMP_WAIT_POLICY"))
            raise SystemExit

sys.meta_path.insert(0, Watch())
sys.path.insert(0, os.getcwd())
how, what = sys.argv[1:]
if how == "import":
    importlib.import_module(what)
elif what.endswith(".py"):
    runpy.run_path(what, run_name="__main__")
else:
    runpy.run_module(what, run_name="__main__")
"""
BENCHMARKS = ("busy", "embedded", "guidance", "inversion", "longvideo", "longvideo_kills", "longvideo_memory",
              "metrics_speed", "speed")  # fmt: skip


def policy(how, what, **settings):
    env = {name: value for name, value in os.environ.items() if name not in SETTINGS} | settings
    command = [sys.executable, "-c", WATCH, how, what]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout.strip()


@pytest.mark.parametrize("what", ["pipeline_core", *(f"benchmarks/{name}.py" for name in BENCHMARKS)])
def test_entry_points_wait_passively(what):
    assert policy("run", what) == "PASSIVE"


def test_the_users_own_setting_wins():
    assert policy("run", "pipeline_core", OMP_WAIT_POLICY="ACTIVE") == "ACTIVE"
    assert policy("run", "pipeline_core", GOMP_SPINCOUNT="1000") == "None"


@pytest.mark.parametrize("what", ["pipeline_core.cli.commands", "pipeline_core.enhance", "benchmarks.embedded"])
def test_importing_sets_nothing(what):
    assert policy("import", what) == "None"
