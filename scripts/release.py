"""Fills in who publishes the pack: what a person runs once before the first release.

    python scripts/release.py OWNER      # the GitHub and registry account
    python scripts/release.py --check    # exit status 1 while it is not filled in: publishing stops there

The one place is `PublisherId` in pyproject.toml; the addresses of the repository, the icon and the banner are made of
it. Where README.md says OWNER, in the address to clone from, it is filled in as well.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACEHOLDER = "OWNER"
FILES = ("pyproject.toml", "README.md")
PUBLISHER = f'PublisherId = "{PLACEHOLDER}"\n'
REPOSITORY = f"{PLACEHOLDER}/ComfyUI-VideoRealism"
IMAGES = f"https://raw.githubusercontent.com/{REPOSITORY}/main/docs/images"
URLS = f"""[project.urls]
Repository = "https://github.com/{REPOSITORY}"
Documentation = "https://github.com/{REPOSITORY}#readme"
Issues = "https://github.com/{REPOSITORY}/issues"

"""
PICTURES = f"""Icon = "{IMAGES}/icon.png"
Banner = "{IMAGES}/banner.png"
"""


def unfilled(root: Path) -> list[str]:
    """FILE:LINE of every place that still has the placeholder."""
    return [
        f"{name}:{number}"
        for name in FILES
        for number, line in enumerate((root / name).read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(rf"\b{PLACEHOLDER}\b", line)
    ]


def fill(root: Path, owner: str) -> None:
    for name in FILES:
        text = (root / name).read_text(encoding="utf-8")
        if name == "pyproject.toml":
            text = re.sub(r"(?:#[^\n]*\n)*\[tool\.comfy\]\n", URLS + "[tool.comfy]\n", text)
            text = text.replace(PUBLISHER, PUBLISHER + PICTURES)
        filled = re.sub(rf"\b{PLACEHOLDER}\b", owner, text)
        (root / name).write_text(filled, encoding="utf-8", newline="\n")


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("owner", nargs="?", help="the account's name")
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args(arguments)
    places = unfilled(root)
    if options.check:
        if places:
            print(f"error: no owner in {', '.join(places)}: run scripts/release.py with one.", file=sys.stderr)
        return 1 if places else 0
    # GitHub's rule for an account's name.
    if not re.fullmatch(r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}", options.owner or ""):
        print(f"error: the owner is {options.owner!r} but must be the name of a GitHub account.", file=sys.stderr)
        return 2
    if options.owner == PLACEHOLDER or not places:
        print("error: there is nothing to fill in: the owner is in the files already.", file=sys.stderr)
        return 2
    fill(root, options.owner)
    print(f"The owner is {options.owner} now: {', '.join(places)}, and the addresses made of it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
