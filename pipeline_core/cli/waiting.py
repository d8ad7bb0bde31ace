"""How torch's threads wait for each other. Imports nothing heavy: it has to be called before torch is imported."""

import os

# What OpenMP's runtimes read, once, when they are loaded: GNU's (torch on Linux), LLVM's and Intel's.
SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def wait_passively() -> None:
    """Let threads that wait sleep instead of spin, unless the user has set how they wait. For entry points only.

    A network of small tensors is thousands of short parallel regions. Threads that spin at the end of each hold the
    core that the last one needs as soon as another process has its place (benchmarks/busy.py).
    """
    if not any(name in os.environ for name in SETTINGS):
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
