"""Objects followed through a clip: SAM 2 from a local transformers folder, told by boxes what to follow.

With `grounding` this is how Cosmos-Transfer segments. The answer has the form of a simulator's instance buffer: one id
per object for the whole clip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..devices import chosen_device
from .estimators import load_network
from .grounding import MOST_OBJECTS, Box
from .preprocessing import normalised, preprocessing

_SAME = 0.5  # overlap from which a box is of an object that is followed already
_MEMORY = 16  # frames back that SAM 2 looks at: older ones are let go

Look = Callable[[int, Tensor, Tensor], Sequence[Box]]


def load_tracker(
    folder: str | Path, device: str | torch.device | None = None
) -> Callable[[Iterable[Tensor], Sequence[Box], Look | None], Iterator[Tensor]]:
    """Callable (frames (H, W, 3) in [0, 1] one after the other, boxes in the first, look) -> ids (H, W) int32.

    folder: SAM 2 in transformers' format. device: where it runs, None is the best there is. Ids are 1, 2, ... in the
    order of the boxes, 0 where there is no object; where two masks overlap the surer one counts. `look(number, frame,
    ids of the frame before)` is asked before every later frame for boxes of objects that are new in it (see
    `look_again`); they get the next ids. Frames are taken one at a time, and memory grows with the objects, not with
    the frames.
    """
    folder, device = Path(folder), chosen_device(device)
    model = load_network(folder, "Sam2VideoModel", device)
    side = model.config.image_size if isinstance(model.config.image_size, int) else model.config.image_size[0]
    mean, std, _ = preprocessing(folder, (side, side), device)

    @torch.no_grad()
    def track(frames: Iterable[Tensor], boxes: Sequence[Box], look: Look | None = None) -> Iterator[Tensor]:
        session, ids = None, None
        for number, frame in enumerate(frames):
            size = tuple(frame.shape[:2])
            new = boxes if number == 0 else look(number, frame, ids) if look else ()
            if new and session is None:
                session = _session(model, size, device)
            if new:
                _add(session, new, number, size, side)
            if session is None:
                ids = torch.zeros(size, dtype=torch.int32)
            else:
                planes = normalised(frame[None], (side, side), mean, std)
                answer = model(inference_session=session, frame=planes[0].to(session.dtype), frame_idx=number)
                _forget(session, number)
                ids = instances_of_masks(answer.pred_masks, answer.object_ids, size)
            yield ids

    return track


def look_again(detect: Callable[[Tensor, str], list[Box]], words: str, every: int, known: list[Box]) -> Look:
    """For a tracker: detect in every `every`-th frame and answer with what is not followed yet, MOST_OBJECTS in all.

    known: the boxes followed so far, by id; what is new is appended. A box is of an object that is followed if it
    shares half of its union with that object's own box, or if an object of the same words covers half of it.
    """

    def look(number: int, frame: Tensor, ids: Tensor) -> list[Box]:
        if number % every:
            return []
        boxes = [box for box in detect(frame, words) if not _followed(box, ids, known)]
        boxes = boxes[: MOST_OBJECTS - len(known)]
        known.extend(boxes)
        return boxes

    return look


def _followed(box: Box, ids: Tensor, known: Sequence[Box]) -> bool:
    H, W = ids.shape
    x0, x1 = (min(max(round(x), 0), W) for x in (box.x0, box.x1))
    y0, y1 = (min(max(round(y), 0), H) for y in (box.y0, box.y1))
    inside = ids[y0:y1, x0:x1]
    if not inside.numel():
        return True  # nothing of it is in the picture
    for number in inside.unique().tolist():
        if number == 0:
            continue
        rows, columns = (ids == number).nonzero().unbind(1)
        left, right, top, bottom = (int(v) for v in (columns.min(), columns.max() + 1, rows.min(), rows.max() + 1))
        shared = max(0, min(x1, right) - max(x0, left)) * max(0, min(y1, bottom) - max(y0, top))
        union = inside.numel() + (right - left) * (bottom - top) - shared
        covered = float((inside == number).float().mean())
        if shared >= _SAME * union or (known[number - 1].words == box.words and covered >= _SAME):
            return True
    return False


def _session(model, size: tuple[int, int], device: torch.device):
    from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

    return Sam2VideoInferenceSession(
        video_height=size[0], video_width=size[1], inference_device=device, dtype=next(model.parameters()).dtype
    )


def _add(session, boxes: Sequence[Box], number: int, size: tuple[int, int], side: int) -> None:
    """Make the boxes of frame `number`, in pixels of the network's square, objects of the session."""
    across, down = side / size[1], side / size[0]
    first = len(session.obj_ids) + 1
    new = list(range(first, first + len(boxes)))
    for obj_id, box in zip(new, boxes):
        corners = [[box.x0 * across, box.y0 * down], [box.x1 * across, box.y1 * down]]
        point = {
            "point_coords": torch.tensor(corners, dtype=session.dtype)[None, None],
            "point_labels": torch.tensor([[[2, 3]]], dtype=torch.int32),  # the box's first and its other corner
        }
        session.add_point_inputs(session.obj_id_to_idx(obj_id), number, point)
    session.obj_with_new_inputs = new


def _forget(session, number: int) -> None:
    """Drop what SAM 2 will not look at again."""
    session.processed_frames.pop(number - 1, None)
    for outputs in session.output_dict_per_obj.values():
        outputs["non_cond_frame_outputs"].pop(number - _MEMORY, None)


def instances_of_masks(masks: Tensor, ids: list[int], size: tuple[int, int]) -> Tensor:
    """Mask logits (N, ..., h, w) of the objects `ids` as (H, W) int32: the id of the strongest above 0, else 0."""
    scores = masks.float().reshape(len(ids), 1, *masks.shape[-2:])
    scores = F.interpolate(scores, size=size, mode="bilinear")[:, 0].cpu()
    best, index = scores.max(0)
    return torch.where(best > 0, torch.tensor(ids, dtype=torch.int32)[index], 0).to(torch.int32)
