"""What measuring costs beside decoding, and whether memory stays constant: a 1080p pair of growing length.

    python benchmarks/metrics_speed.py --seconds 5 20 --json benchmarks/results/metrics_speed.json

The pair is made here: a street of the world, twice enlarged, moving past, with grain on the output; a second of it is
encoded as the pack encodes and its packets are repeated. Every figure is of a process of its own that reads both clips
from their files: "decode" only reads them, frame by frame, as everything in the pack does; "fidelity" measures PSNR,
SSIM, MS-SSIM, MSE_l, spatial frequency and D_SF at full size (`--only fidelity`); "no model" all that needs no network.
"speed" is decode's time over its own. On a machine where other work runs, trust the processor time: it counts all
threads, so two cores at work are no advantage there.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

import torch  # noqa: E402
from common import Promise, finish, parser  # noqa: E402
from torch import Tensor  # noqa: E402

from pipeline_core.metrics.compare import compare  # noqa: E402
from pipeline_core.metrics.extras import GROUPS, Extras  # noqa: E402
from pipeline_core.video import media  # noqa: E402
from pipeline_core.world import make_scene, render  # noqa: E402

FPS, SIZE, SEED = 24, (1080, 1920), 910003
WORK = {"decode": None, "fidelity": ("fidelity",), "no model": GROUPS}
COLUMNS = ("work", "frames", "cpu_ms", "wall_ms", "speed_cpu", "speed_wall", "peak_mib")


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, nargs="+", default=[5, 20], help="lengths of the pair")
    options.add_argument("--long", type=float, nargs="*", default=[], help="lengths to measure fidelity alone at")
    options.add_argument("--threads", type=int, default=torch.get_num_threads(), help="PyTorch's threads")
    options.add_argument("--worker", nargs=3, help="(used by itself) what to do with which two clips")
    arguments = options.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.worker:
        print(json.dumps(work(*arguments.worker)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        second = [Path(folder) / f"{name}_1s.mp4" for name in ("source", "output")]
        for path, style, grain in zip(second, ("synthetic", "photoreal"), (0.0, 0.008)):
            with media.VideoWriter(path, FPS, SIZE) as out:
                for frame in moving(style, grain):
                    out.write(frame)
        for seconds in [*arguments.seconds, *arguments.long]:
            pair = [repeated(path, round(seconds), path.with_name(f"{path.stem}_{seconds:g}.mp4")) for path in second]
            tasks = ("fidelity",) if seconds in arguments.long else tuple(WORK)
            rows += [{"work": task, "seconds": seconds, **in_process(task, pair, arguments.threads)} for task in tasks]
    compare_to_decoding(rows)
    finish(arguments.json, rows, COLUMNS, promises(rows), size=SIZE, fps=FPS, seed=SEED, threads=arguments.threads)


def promises(rows: list[dict]) -> list[Promise]:
    fidelity = [row for row in rows if row["work"] == "fidelity"]
    beside = [row for row in fidelity if row["speed_wall"] is not None]
    peaks = [[row["peak_mib"] for row in rows if row["work"] == task] for task in WORK]
    growth = max(held[-1] / held[0] for held in peaks if held)
    return [
        Promise("fidelity at 1080p: share of decoding speed, wall clock", beside[-1]["speed_wall"], 0.5),
        Promise("fidelity at 1080p: share of decoding speed, processor time", fidelity[-1]["speed_cpu"], 0.5),
        Promise("peak memory of the longest over the shortest pair", growth, 1.1, at_least=False),
    ]


def moving(style: str, grain: float) -> Iterator[Tensor]:
    """A second of a street that slides by three pixels a frame."""
    street = render(make_scene(SEED), range(1), (SIZE[0] // 2, SIZE[1] // 2), style).rgb
    planes = torch.nn.functional.interpolate(street.permute(0, 3, 1, 2), SIZE, mode="bicubic")
    street, generator = planes[0].permute(1, 2, 0).clamp(0, 1), torch.Generator().manual_seed(0)
    for t in range(FPS):
        frame = street.roll((t, -3 * t), (0, 1))
        yield (frame + grain * torch.randn(frame.shape, generator=generator)).clamp(0, 1)


def repeated(path: Path, times: int, target: Path) -> Path:
    """The clip over and over in one file, packets copied as they are."""
    import av

    with av.open(str(target), "w") as out:
        stream, offset = None, 0
        for _ in range(times):
            with av.open(str(path)) as held:
                video = held.streams.video[0]
                stream = stream or out.add_stream_from_template(video)
                for packet in held.demux(video):
                    if packet.dts is not None:
                        packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                        packet.stream = stream
                        out.mux(packet)
                offset += video.duration
    return target


def in_process(task: str, pair: list[Path], threads: int) -> dict:
    asked = [sys.executable, __file__, "--threads", str(threads), "--worker", task, *map(str, pair)]
    return json.loads(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()[-1])


def work(task: str, source: str, output: str) -> dict:
    """Do one task on a pair; milliseconds per pair of frames."""
    cpu, wall = time.process_time(), time.perf_counter()
    if task == "decode":
        frames = sum(1 for _ in zip(media.read_frames(source), media.read_frames(output)))
    else:
        frames = compare(source, output, extras=Extras(only=WORK[task]))["about"]["frames"]
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"frames": frames, "cpu_ms": 1e3 * cpu / frames, "wall_ms": 1e3 * wall / frames, "peak_mib": peak_mib()}


def peak_mib() -> float:
    """The most memory this process has held. Linux' ru_maxrss would count the process that started this one as well."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def compare_to_decoding(rows: list[dict]) -> None:
    """Adds how fast each row is beside decoding the same pair, or the longest pair that was decoded: then by processor
    time alone, because other work may have run meanwhile."""
    decoded = [row for row in rows if row["work"] == "decode"]
    for row in rows:
        same = next((d for d in decoded if d["seconds"] == row["seconds"]), None)
        row["speed_cpu"] = (same or decoded[-1])["cpu_ms"] / row["cpu_ms"]
        row["speed_wall"] = same["wall_ms"] / row["wall_ms"] if same else None


if __name__ == "__main__":
    main()
