"""What a result was made with: package versions and the machine, for reports and benchmarks."""

import platform
from importlib.metadata import PackageNotFoundError, version

from . import __version__


def versions() -> dict[str, str]:
    """Versions of this pack, Python and the numerical packages, and the kind of machine."""
    found = {
        "videorealism": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
    }
    for package in ("torch", "diffusers", "transformers", "kornia", "av"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found
