"""Processes of the local engine that die, hang, are refused and are asked to stop; light ones, without networks."""

import os
import signal
import threading
import time

import light_worker
import pytest

from pipeline_core.batch.ends import Lost
from pipeline_core.batch.engines import local
from pipeline_core.batch.engines.local import LocalSlot
from pipeline_core.errors import UserError

PATIENCE = 120.0  # seconds without a sign of life where none is expected to be missing


@pytest.fixture
def slot_of(tmp_path):
    slots = []

    def slot(choice="good", timeout=PATIENCE):
        slots.append(LocalSlot(len(slots), tmp_path, choice, None, 3, timeout, light_worker.serve))
        return slots[-1]

    yield slot
    for slot in slots:
        slot.close()


def test_one_process_makes_one_result_after_the_other_with_its_share_of_the_threads(slot_of, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    slot = slot_of()
    assert slot.ready()
    rows = [slot.work(f"clip{k}", 1) for k in range(3)]
    assert [row[:3] for row in rows] == [(f"clip{k}", 1, "3") for k in range(3)]
    assert len({row[3] for row in rows}) == 1 and "OMP_NUM_THREADS" not in os.environ
    pid = rows[0][3]
    slot.renew()
    assert slot.ready() and slot.work("clip3", 2)[3] != pid


@pytest.mark.parametrize("word, said", [("exit", "exit code 3"), ("kill", "SIGKILL"), ("hang", "hung")])
def test_one_that_dies_or_hangs_is_said_and_replaced(slot_of, word, said):
    slot = slot_of(timeout=2.0 if word == "hang" else PATIENCE)
    assert slot.ready()
    with pytest.raises(Lost, match=said) as lost:
        slot.work(word, 1)
    assert str(lost.value).endswith(".") and "\n" not in str(lost.value)
    assert slot.ready() and (word == "hang" or slot.work("next", 1)[0] == "next")


def test_one_that_is_slow_but_alive_is_left_alone(slot_of):
    slot = slot_of(timeout=3.0)
    assert slot.ready() and slot.work("slow", 1)[0] == "slow"


def test_a_model_that_cannot_be_loaded_ends_the_run(slot_of):
    with pytest.raises(UserError, match="no such model"):
        slot_of("refused").ready()
    with pytest.raises(UserError, match="exit code 4 while it loaded the model"):
        slot_of("dies").ready()


def test_asked_to_stop_it_answers_and_ends(slot_of):
    slot = slot_of()
    assert slot.ready()
    threading.Timer(0.3, slot.stop).start()
    row = slot.work("until stopped", 1)
    slot.close()
    with pytest.raises(ProcessLookupError):
        for _ in range(100):
            os.kill(row[3], 0)
            time.sleep(0.05)


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no signal masks here")
def test_ctrl_c_does_not_reach_it(slot_of):
    slot = slot_of()
    assert slot.ready()
    pid = slot.work("a", 1)[3]
    os.kill(pid, signal.SIGINT)
    assert slot.work("b", 1)[3] == pid
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_cores_are_shared(tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(local, "cores", lambda: 9)
    from pipeline_core.batch.networks import NetworkChoice

    slots = local.local_slots(4, tmp_path, NetworkChoice(device="cpu"), None)
    assert [slot._threads for slot in slots] == [2] * 4 and {slot._choice.device for slot in slots} == {"cpu"}
    monkeypatch.setattr(local, "_devices", lambda choice: ["cuda:0", "cuda:1"])
    slots = local.local_slots(3, tmp_path, NetworkChoice(), None)
    assert [slot._choice.device for slot in slots] == ["cuda:0", "cuda:1", "cuda:0"]
