"""A run without networks, its slots only write files: what is done once, what is tried again, who dies on the way."""

import json
import os
import threading
import time
from collections import Counter

import pytest

from pipeline_core.batch.board import Board
from pipeline_core.batch.clips import Source
from pipeline_core.batch.ends import Lost
from pipeline_core.batch.leases import claim
from pipeline_core.batch.networks import NetworkChoice
from pipeline_core.batch.progress import format_table
from pipeline_core.batch.quarantine import lines, quarantined, rewrite
from pipeline_core.batch.recipe import Variant
from pipeline_core.batch.rows import DONE, FAILED, INPUT, MACHINE, STOPPED, Task, failed_row, new_row, read_row
from pipeline_core.errors import UserError

CHOICE = NetworkChoice()


def tasks_of(folder, count, code="c"):
    hashes = {"input": "i", "settings": "s", "model": "m", "code": code}
    variant = Variant("default-0", {"steps": 2}, None, 0, 7)
    return [Task(Source(f"clip{n}", folder / f"clip{n}.mp4"), variant, dict(hashes)) for n in range(count)]


class FakeSlot:
    """ends: id of a clip -> what happens to it, one entry an attempt, "done" after the last."""

    def __init__(self, out, ends={}, seconds=0.0, ready=lambda: True):
        self.out, self.ends, self.seconds, self.is_ready = out, {k: list(v) for k, v in ends.items()}, seconds, ready
        self.worked, self.renewed, self.ending, self.closed = [], 0, threading.Event(), False

    def ready(self):
        return self.is_ready()

    def work(self, task, attempt):
        self.worked.append((task.source.id, attempt))
        end = (self.ends.get(task.source.id) or ["done"]).pop(0)
        if self.seconds:
            self.ending.wait(self.seconds)
        if end == "lost":
            raise Lost("It died.")
        if end in (INPUT, MACHINE):
            return failed_row(task, attempt, f"The {end} is at fault.", end)
        if self.ending.is_set():
            return {**new_row(task, attempt), "status": STOPPED}
        path = task.unfinished(self.out)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(task.name)
        return {**new_row(task, attempt), "status": DONE, "output": str(task.output(self.out).relative_to(self.out))}

    def renew(self):
        self.renewed += 1

    def stop(self):
        self.ending.set()

    kill = stop

    def close(self):
        self.closed = True


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def statuses(out, tasks):
    return Counter((read_row(out, task) or {"status": "none"})["status"] for task in tasks)


def test_every_task_gets_its_row_and_none_is_made_twice(tmp_path, out):
    tasks, slots = tasks_of(tmp_path, 30), [FakeSlot(out) for _ in range(3)]
    board = Board(tasks, out, CHOICE)
    board.run(slots)
    assert statuses(out, tasks) == {DONE: 30} and board.left == 0
    assert Counter(name for slot in slots for name, _ in slot.worked) == Counter(t.source.id for t in tasks)
    assert list((out / "leases").iterdir()) == [] and all(slot.closed for slot in slots)
    again = FakeSlot(out)
    Board(tasks, out, CHOICE).run([again])
    assert again.worked == []
    assert sorted(p.name for p in (out / "clips" / "clip0").iterdir()) == ["default-0.json", "default-0.mp4"]
    assert format_table(tasks, board.settled).splitlines()[1].split() == ["default-0", "30", "0", "0", "0"]


def test_another_hash_is_made_again_and_a_row_without_its_clip_too(tmp_path, out):
    Board(tasks_of(tmp_path, 3), out, CHOICE).run([FakeSlot(out)])
    for change in ("input", "settings", "model", "code"):
        tasks = tasks_of(tmp_path, 3)
        tasks[1].hashes[change] = "other"
        slot = FakeSlot(out)
        Board(tasks, out, CHOICE).run([slot])
        assert slot.worked == [("clip1", 1)], change
    Board(tasks_of(tmp_path, 3), out, CHOICE).run([FakeSlot(out)])
    tasks_of(tmp_path, 3)[2].output(out).unlink()
    slot = FakeSlot(out)
    Board(tasks_of(tmp_path, 3), out, CHOICE).run([slot])
    assert slot.worked == [("clip2", 1)]


def test_faults_of_the_machine_are_tried_again_and_those_of_the_clip_are_not(tmp_path, out):
    tasks = tasks_of(tmp_path, 4)
    ends = {"clip0": [INPUT], "clip1": [MACHINE, "lost"], "clip2": ["lost"] * 3}
    slot, board = FakeSlot(out, ends), Board(tasks, out, CHOICE, retries=2)
    board.run([slot])
    assert [attempt for name, attempt in slot.worked if name == "clip1"] == [1, 2, 3]
    assert slot.renewed == 5 and slot.worked[:4] == [(f"clip{k}", 1) for k in range(4)], "others go first"
    assert [read_row(out, task)["status"] for task in tasks] == [FAILED, DONE, FAILED, DONE]
    assert [read_row(out, task)["attempt"] for task in tasks] == [1, 3, 3, 1]
    told = {line["id"]: line for line in lines(out)}
    assert {name: line["reason"] for name, line in told.items()} == {
        "clip0": "The input is at fault.", "clip2": "It died.",
    }  # fmt: skip
    slot = FakeSlot(out)
    Board(tasks, out, CHOICE).run([slot])
    assert slot.worked == [], "what is in quarantine stays there"
    slot = FakeSlot(out)
    Board(tasks, out, CHOICE, again=True).run([slot])
    assert [name for name, _ in slot.worked] == ["clip0", "clip2"] and statuses(out, tasks) == {DONE: 4}
    rewrite(out, tasks, CHOICE)
    assert list(lines(out)) == []


def test_two_runs_at_once_do_no_clip_twice(tmp_path, out):
    tasks, started = tasks_of(tmp_path, 40), threading.Barrier(4, timeout=120)
    slots = [FakeSlot(out, seconds=0.005) for _ in range(4)]
    for slot in slots:  # each begins its first task before any ends one
        slot.work = lambda task, attempt, of=slot: (of.worked or started.wait(), FakeSlot.work(of, task, attempt))[1]
    boards = [Board(tasks, out, CHOICE) for _ in range(2)]
    threads = [threading.Thread(target=board.run, args=(slots[2 * k : 2 * k + 2],)) for k, board in enumerate(boards)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses(out, tasks) == {DONE: 40}
    assert Counter(name for slot in slots for name, _ in slot.worked).most_common(1)[0][1] == 1
    assert all(slot.worked for slot in slots) and boards[0].left == boards[1].left == 0


def test_what_another_run_holds_is_waited_for_and_taken_when_that_is_gone(tmp_path, out):
    tasks = tasks_of(tmp_path, 2)
    lease = claim(out / "leases", tasks[0].name)
    slot, board = FakeSlot(out), Board(tasks, out, CHOICE)
    thread = threading.Thread(target=board.run, args=([slot],))
    thread.start()
    deadline = time.monotonic() + 120
    while not slot.worked and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert slot.worked == [("clip1", 1)] and thread.is_alive()
    lease.release()
    thread.join(120)
    assert slot.worked == [("clip1", 1), ("clip0", 1)] and statuses(out, tasks) == {DONE: 2}


def test_interrupted_it_ends_after_the_work_at_hand_and_leaves_no_lease(tmp_path, out):
    tasks, slots = tasks_of(tmp_path, 10), [FakeSlot(out, seconds=60), FakeSlot(out, seconds=60)]
    board, looks = Board(tasks, out, CHOICE), []

    def watch():
        looks.append(1)
        if all(slot.worked for slot in slots):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="goes on from them"):
        board.run(slots, watch)
    assert statuses(out, tasks) == {"none": 10} and list((out / "leases").iterdir()) == []
    assert [len(slot.worked) for slot in slots] == [1, 1]
    Board(tasks, out, CHOICE).run([FakeSlot(out)])
    assert statuses(out, tasks) == {DONE: 10}


def test_what_no_clip_is_to_blame_for_ends_the_run(tmp_path, out):
    def refused():
        raise UserError("There is no such model.")

    tasks, other = tasks_of(tmp_path, 4), FakeSlot(out, seconds=120)  # until it is asked to end
    with pytest.raises(UserError, match="no such model"):
        Board(tasks, out, CHOICE).run([FakeSlot(out, ready=refused), other])
    assert list(lines(out)) == [] and len(other.worked) <= 1


def test_a_slot_that_is_away_for_a_while_takes_part_again(tmp_path, out):
    tasks, other, looks = tasks_of(tmp_path, 6), FakeSlot(out), []
    late = FakeSlot(out, ready=lambda: looks.append(1) or len(looks) > 2)
    seen = threading.Event()

    def work(task, attempt):  # the other one's clip lasts until the late one has done two
        assert seen.wait(120)
        return FakeSlot.work(other, task, attempt)

    def late_work(task, attempt):
        row = FakeSlot.work(late, task, attempt)
        if len(late.worked) > 1:
            seen.set()
        return row

    other.work, late.work = work, late_work
    Board(tasks, out, CHOICE).run([late, other])
    assert statuses(out, tasks) == {DONE: 6} and len(late.worked) > 1 and len(looks) > 2


def test_a_row_that_lost_its_lease_is_not_written(tmp_path, out):
    (task,) = tasks_of(tmp_path, 1)
    slot = FakeSlot(out)
    work, taken, other = slot.work, threading.Event(), out / "leases" / f"{task.name}~1"

    def slept(*given):
        row = work(*given)
        if not taken.is_set():  # the machine sleeps so long that another takes over
            other.write_text("{}")
            taken.set()
        return row

    slot.work = slept
    board = Board([task], out, CHOICE, seconds=30)
    thread = threading.Thread(target=board.run, args=([slot],))
    thread.start()
    assert taken.wait(120)
    assert read_row(out, task) is None
    os.utime(other, (0, 0))  # the other has died meanwhile
    thread.join(120)
    assert statuses(out, [task]) == {DONE: 1} and len(slot.worked) == 2


def test_quarantine_survives_lines_that_were_cut_and_says_each_failure_once(tmp_path, out):
    tasks = tasks_of(tmp_path, 3)
    for task in (tasks[0], tasks[0], tasks[1]):
        row = failed_row(task, 1, "It is cut.", INPUT)
        quarantined(out, task, row, CHOICE)
        task.row(out).parent.mkdir(parents=True, exist_ok=True)
        task.row(out).write_text(json.dumps(row))
    with (out / "quarantine.jsonl").open("a") as file:
        file.write('{"id": "clip2", "var')
    assert len(list(lines(out))) == 3
    rewrite(out, tasks[:1], CHOICE)
    assert [line["id"] for line in lines(out)] == ["clip0", "clip1"]
    assert (out / "quarantine.jsonl").read_text().count("\n") == 2
