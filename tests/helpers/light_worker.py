"""A process of the local engine without networks, which starts quickly: what happens is what the task says."""

import os
import signal
import time


def serve(work, stop, out, log, choice, rules, threads):
    """As `pipeline_core.batch.worker.serve`; a task is a word, with the answer (word, attempt, threads)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if choice == "refused":
        work.send(("refused", "There is no such model."))
        return
    if choice == "dies":
        os._exit(4)
    work.send(("ready", None))
    while True:
        try:
            task, attempt = work.recv()
        except EOFError:
            return
        if task == "hang":
            time.sleep(600)
        elif task == "exit":
            os._exit(3)
        elif task == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif task == "until stopped":
            while not stop.poll(0.05):
                work.send(("sign", None))
        elif task == "slow":  # longer than the test's timeout, but alive
            for _ in range(40):
                work.send(("sign", None))
                time.sleep(0.1)
        work.send(("row", (task, attempt, os.environ.get("OMP_NUM_THREADS"), os.getpid())))
