"""Says at the end of a run what every door did with its cases, and in a file of JSON where FUZZ_JSON names one."""

import json
import os
from pathlib import Path

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    try:
        return (yield)
    finally:
        if tally := getattr(getattr(item.function, "hypothesis", None), "inner_test", None):
            item.user_properties.append(("tally", {"door": item.name, **getattr(tally, "tally", {})}))


def pytest_terminal_summary(terminalreporter):
    reports = [report for found in terminalreporter.stats.values() for report in found if hasattr(report, "when")]
    properties = [pair for report in reports if report.when == "call" for pair in report.user_properties]
    ends = [value for name, value in properties if name == "ends"]
    for end in ends:
        terminalreporter.write_line("ended: " + ", ".join(f"{how} {count}" for how, count in end.items()))
    tallies = [value for name, value in properties if name == "tally"]
    if not tallies:
        return
    terminalreporter.section("doors")
    row = "{:45} {:>7} {:>9} {:>8} {:>9}".format
    terminalreporter.write_line(row("door", "refused", "accepted", "longest", "memory"))
    for tally in tallies:
        refused, accepted = tally.get("refused", 0), tally.get("accepted", 0)
        longest, memory = f"{tally.get('seconds', 0):.1f} s", f"{tally.get('bytes', 0) / 2**20:.0f} MiB"
        terminalreporter.write_line(row(tally["door"], refused, accepted, longest, memory))
    both = [sum(tally.get(way, 0) for tally in tallies) for way in ("refused", "accepted")]
    terminalreporter.write_line(row("all", *both, "", ""))
    if "FUZZ_JSON" in os.environ:
        seed = terminalreporter.config.getoption("--hypothesis-seed")
        rounded = [{**tally, "seconds": round(tally.get("seconds", 0), 3)} for tally in tallies]
        content = {"seed": seed, "doors": rounded, "ended": ends, "cores": os.cpu_count()}
        Path(os.environ["FUZZ_JSON"]).write_text(json.dumps(content, indent=1) + "\n")
