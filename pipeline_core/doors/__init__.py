"""Where files, texts and faults from outside come in: bounded reading, paths that differ, faults as one sentence.

The inside of the core raises UserError for what it checks itself and lets everything else through; what libraries and
the system raise is turned into sentences here and nowhere else.
"""

from .json_files import parse_json, read_json, read_json_lines
from .loaders import loading
from .paths import check_paths, regular_file, writable
from .pictures import open_picture
from .sentences import sentence
from .tensors import load_tensors
from .yaml_files import read_yaml

__all__ = [
    "check_paths",
    "load_tensors",
    "loading",
    "open_picture",
    "parse_json",
    "read_json",
    "read_json_lines",
    "read_yaml",
    "regular_file",
    "sentence",
    "writable",
]
