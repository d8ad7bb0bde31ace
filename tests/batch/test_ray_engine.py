"""The Ray engine on real Ray: the same results as processes of this machine, and nothing lost with a node."""

import json
import threading
import time

import pytest

pytest.importorskip("ray", reason="Ray is not installed (pip install ray)")

from benchmarks import poison  # noqa: E402
from pipeline_core.__main__ import main  # noqa: E402

CLIPS = 8


@pytest.fixture(scope="module")
def batch(tmp_path_factory, model_folder):
    """(arguments without the output, hashes of the outputs that processes of this machine write)."""
    folder = tmp_path_factory.mktemp("ray") / "in"
    poison.make_folder(folder, CLIPS, ())
    options = ["--model", model_folder, "--start", "noise", "--steps", "2", "--precision", "fp32", "--workers", "2"]
    options += ["--recipe", folder / poison.RECIPE]

    def run(out, *more):
        code = main([str(part) for part in ("enhance-folder", folder, out, *options, *more)])
        return code, outputs_of(out)

    code, expected = run(folder.parent / "local")
    assert code == 0 and len(expected) == CLIPS
    return run, expected


def outputs_of(out):
    rows = [json.loads(path.read_text()) for path in out.glob("clips/*/*.json")]
    return {row["id"]: row["hashes"]["output"] for row in rows if row["status"] == "done"}


def test_ray_on_this_machine_makes_the_same_results_bit_for_bit(batch, tmp_path):
    run, expected = batch
    assert run(tmp_path / "out", "--engine", "ray") == (0, expected)
    assert list((tmp_path / "out" / "leases").iterdir()) == []


def test_a_node_that_is_killed_midway_loses_nothing(batch, tmp_path):
    from ray.cluster_utils import Cluster

    run, expected = batch
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        node = cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()

        def kill_the_node():
            deadline = time.monotonic() + 300
            while len(outputs_of(tmp_path / "out")) < 2 and time.monotonic() < deadline:
                time.sleep(0.02)
            cluster.remove_node(node, allow_graceful=False)

        killer = threading.Thread(target=kill_the_node)
        killer.start()
        assert run(tmp_path / "out", "--engine", "ray", "--ray-address", cluster.address) == (0, expected)
        killer.join()
    finally:
        cluster.shutdown()


def test_an_address_where_nobody_is_is_one_sentence(batch, tmp_path, capsys):
    run, _ = batch
    assert run(tmp_path / "out", "--engine", "ray", "--ray-address", "127.0.0.1:9")[0] == 2
    assert "--ray-address" in capsys.readouterr().err.strip().splitlines()[-1]
