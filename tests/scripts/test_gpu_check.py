"""The check of a card, rehearsed: to its end on the pretend device and with torch alone, and inside its minutes."""

import json
import subprocess
import sys
from pathlib import Path

import gpu_check
import pytest
from card import report
from card.parts import Clock, Part, Row
from card.places import Place

SCRIPTS = Path(__file__).parents[2] / "scripts"
OWN = ["maths", "maps", "precision"]
OTHERS = ("diffusers", "transformers", "einops", "safetensors", "kornia", "av", "PIL", "accelerate", "pytest", "tqdm")


def states(folder):
    parts = json.loads((folder / "gpu_check.json").read_text())["parts"]
    return {name: part["state"] for name, part in parts.items()}


def test_networks_and_maths_on_the_pretend_device(tmp_path, capsys):
    parts = [*OWN, "transfer25", "wan"]
    assert gpu_check.main(["--device", "pretend", "--small", "--only", *parts, "-o", str(tmp_path)]) == 0
    assert states(tmp_path) == dict.fromkeys(parts, "passed")
    content = json.loads((tmp_path / "gpu_check.json").read_text())
    rows = {name: {row["what"]: row for row in part["rows"]} for name, part in content["parts"].items()}
    for name in ("transfer25", "wan"):
        assert rows[name]["host reads in a step"]["value"] == 1
        assert rows[name]["a step with cfg"]["value"] > 0
        assert rows[name]["a step with cfg needs at once, beside weights and inputs"]["value"] is None
    small = rows["transfer25"]
    assert small["bytes with the matrices in fp8"]["value"] < small["their bytes"]["value"]
    table = (tmp_path / "gpu_check.md").read_text()
    assert table in capsys.readouterr().out and "(a rehearsal)" in table
    assert sum(map(len, rows.values())) == table.count("\n| ") - 2  # a line for each, below the two of the head


def test_torch_alone_is_enough_for_the_rest_to_be_skipped(tmp_path):
    """Where nothing else is installed: those parts run that can, and the others say what they need."""
    start = f"import sys; sys.modules.update(dict.fromkeys({OTHERS!r})); sys.path.insert(0, {str(SCRIPTS)!r})\n"
    start += f"import gpu_check; sys.exit(gpu_check.main(['--device', 'cpu', '--small', '-o', {str(tmp_path)!r}]))"
    done = subprocess.run([sys.executable, "-c", start], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert states(tmp_path) == {part.name: "passed" if part.name in OWN else "skipped" for part in gpu_check.PARTS}
    assert (
        "| transfer25 | | | | skipped: needs the package diffusers, transformers, einops, safetensors |" in done.stdout
    )


def part(rows, least=5.0, error=None):
    def make(place, small, clock):
        yield from rows
        if error:
            raise error

    return Part("planted", make, least=least)


@pytest.mark.parametrize(
    "planted, state, words",
    [
        (part([Row("error", 1.0, "", 2.0)]), "passed", "| planted | error | 1 | 2 | ok |"),
        (part([Row("error", 3.0, "", 2.0)]), "failed", "| planted | error | 3 | 2 | FAILED |"),
        (part([Row("error", float("nan"), "", 2.0)]), "failed", "| planted | error | nan | 2 | FAILED |"),
        (part([Row("time", 3.0, "s")]), "passed", "| planted | time | 3 s |  |  |"),
        (
            part([Row("a", 1.0)], error=RuntimeError("no kernel\nhere")),
            "failed",
            "FAILED: RuntimeError: no kernel here",
        ),
        (part([], least=100), "skipped", "skipped: 60 s are left and it takes at least 100: raise --minutes"),
    ],
)
def test_a_parts_end(planted, state, words, tmp_path):
    with Place("cpu") as place:
        end = planted.run(place, False, Clock(1.0))
        content = {"facts": place.facts(), "small": False, "minutes": 1.0, "seconds": 1.0, "parts": {"planted": end}}
    assert end["state"] == state
    report.write(content, tmp_path)
    assert words in (tmp_path / "gpu_check.md").read_text()


def test_a_part_outside_its_bounds_is_the_exit_code(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_check, "PARTS", (part([Row("error", 3.0, "", 2.0)]),))
    assert gpu_check.main(["--device", "cpu", "-o", str(tmp_path)]) == 1


@pytest.mark.parametrize(
    "options, words",
    [
        (["--device", "vulkan"], "The device vulkan cannot be used here"),
        (["--only", "maths", "pictures"], "There is no part pictures: give some of maths, "),
        (["--minutes", "0"], "--minutes is 0.0 but must be from"),
    ],
)
def test_bad_options_in_a_sentence(options, words, tmp_path, capsys):
    assert gpu_check.main([*options, "-o", str(tmp_path / "out")]) == 2
    assert words in capsys.readouterr().err and not (tmp_path / "out").exists()
