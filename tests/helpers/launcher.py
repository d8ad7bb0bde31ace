"""Commands in processes of their own that need not import everything first: a process that has, forks one for each."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LAUNCH = """
import json, os, resource, signal, sys
import av, tqdm
from diffusers import AutoencoderKLWan, CosmosControlNetModel, CosmosTransformer3DModel
from transformers import PreTrainedTokenizerFast, T5EncoderModel
import pipeline_core.cli.commands
from pipeline_core.__main__ import main
for line in sys.stdin:
    arguments, limit = json.loads(line)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # before and after the command the system ends the process
        os.dup2(write, 1)
        os.dup2(write, 2)
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            code = main(arguments)
        finally:
            sys.stdout.flush()
        os._exit(code)
    os.close(write)
    print(child, flush=True)
    with open(read, errors="replace") as pipe:
        said = pipe.read()
    print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said]), flush=True)
"""


class Launcher:
    """`with Launcher() as launch: code, said = launch(arguments, meanwhile)`, on Linux and macOS."""

    def __enter__(self):
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([sys.executable, "-c", LAUNCH], cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait()

    def __call__(self, arguments, meanwhile=lambda kill: None, limit=None):
        """(exit code, what it said) of one command. meanwhile(kill): called while it runs, where kill(number) sends it
        a signal; limit: bytes that its files may have, as on a full disk."""
        print(json.dumps([[str(a) for a in arguments], limit]), file=self._process.stdin, flush=True)
        child = int(self._process.stdout.readline())
        meanwhile(lambda number: os.kill(child, number))
        code, said = json.loads(self._process.stdout.readline())
        return code, said
