"""Leases: of any number who want one, one gets it, also of those who take one over that has expired."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from pipeline_core.batch import leases
from pipeline_core.batch.leases import claim, sweep


def test_one_has_it_until_it_is_released(tmp_path):
    first = claim(tmp_path / "leases", "a.b-0")
    assert first.held() and claim(tmp_path / "leases", "a.b-0") is None
    assert claim(tmp_path / "leases", "a.b-1") is not None, "another piece of work"
    owner = json.loads((tmp_path / "leases" / "a.b-0").read_text())
    assert owner["pid"] == os.getpid() and owner.keys() >= {"host", "uuid", "time"}
    first.release()
    second = claim(tmp_path / "leases", "a.b-0")
    assert second.held()


def test_it_expires_when_nobody_touches_it(tmp_path):
    first = claim(tmp_path, "a")
    os.utime(tmp_path / "a", (time.time() - 100,) * 2)
    assert claim(tmp_path, "a", 200) is None
    second = claim(tmp_path, "a", 50)
    assert second.held() and not first.held()
    first.touch()
    first.release()
    assert second.held() and claim(tmp_path, "a", 50) is None, "who comes back late takes nothing away"
    second.release()
    assert list(tmp_path.iterdir()) == []


def test_touched_it_stays(tmp_path):
    first = claim(tmp_path, "a")
    os.utime(tmp_path / "a", (time.time() - 100,) * 2)
    first.touch()
    assert claim(tmp_path, "a", 50) is None


def test_of_a_process_that_is_gone_it_is_free_at_once(tmp_path):
    code = "import sys; from pathlib import Path; from pipeline_core.batch.leases import claim; import os, signal\n"
    code += "claim(Path(sys.argv[1]), 'a'); os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=os.getcwd())
    assert (tmp_path / "a").is_file()
    if leases._started(os.getpid()) is None:
        pytest.skip("processes can be looked up in /proc alone")
    assert claim(tmp_path, "a").held()


def test_of_another_machine_s_process_it_is_not(tmp_path):
    claim(tmp_path, "a")
    owner = json.loads((tmp_path / "a").read_text())
    (tmp_path / "a").write_text(json.dumps({**owner, "machine": "another", "pid": 2**30, "started": "1"}))
    assert claim(tmp_path, "a") is None
    (tmp_path / "a").write_text("")
    assert claim(tmp_path, "a") is None, "one that is just being written"


def test_what_is_free_is_swept_away_and_nothing_else(tmp_path):
    sweep(tmp_path / "none")
    held, dead = claim(tmp_path, "a"), claim(tmp_path, "b.c")
    os.utime(tmp_path / "b.c", (time.time() - 100,) * 2)
    assert claim(tmp_path, "b.c", 50).held() and not dead.held()
    for path in tmp_path.glob("b.c*"):
        os.utime(path, (time.time() - 100,) * 2)
    sweep(tmp_path, 50)
    assert [path.name for path in tmp_path.iterdir()] == ["a"] and held.held()


@pytest.mark.parametrize("expired", [False, True])
def test_of_many_takers_at_once_one_gets_it(tmp_path, expired):
    for trial in range(30):
        name = f"work-{trial}"
        if expired:
            claim(tmp_path, name)
            os.utime(tmp_path / name, (time.time() - 100,) * 2)
        gate, got = threading.Barrier(8), []

        def take():
            gate.wait()
            got.append(claim(tmp_path, name, 50))

        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        owners = [lease for lease in got if lease is not None]
        assert len(owners) == 1 and owners[0].held()


def test_work_that_many_want_over_and_over_is_never_two_s_at_a_time(tmp_path):
    """Takers that claim, work and release as fast as they can, some of them leaving expired leases behind."""
    at_work, most, lock = 0, 0, threading.Lock()

    def taker(number):
        nonlocal at_work, most
        for trial in range(60):
            lease = claim(tmp_path, "a", 50)
            if lease is None:
                continue
            with lock:
                at_work += 1
                most = max(most, at_work)
            time.sleep(0.0005)
            with lock:
                at_work -= 1
            if trial % 5 == number % 5:
                os.utime(lease._path, (time.time() - 100,) * 2)  # dies
            else:
                lease.release()

    threads = [threading.Thread(target=taker, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
