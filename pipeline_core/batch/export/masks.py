"""Masks in the two codes that trainers read: COCO's run lengths and YOLO's polygons."""

from __future__ import annotations

import numpy as np


def run_lengths(mask: np.ndarray) -> dict:
    """A mask (H, W) bool as COCO's compressed run-length code, {"size": [H, W], "counts": text}; lossless."""
    from pycocotools import mask as coder

    code = coder.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(side) for side in code["size"]], "counts": code["counts"].decode("ascii")}


def polygon(mask: np.ndarray) -> np.ndarray:
    """One polygon (N, 2) of a mask (H, W) bool: x, y in whole pixels, N at least 3.

    Filled the way OpenCV fills, lines included, it gives the mask again, also with holes, if the mask is in one piece
    (pixels that touch at a corner are). Pieces are joined by lines one pixel wide, which is all that it adds: a YOLO
    label has one polygon an object.
    """
    import cv2

    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    points, *rings = sorted((ring[:, 0] for ring in outlines), key=len, reverse=True)
    # Prim's tree: the ring nearest to what is joined is joined next, by (squared distance, point there, place in it).
    ties = [_nearest(points, ring) for ring in rings]
    while rings:
        at = min(range(len(rings)), key=lambda i: ties[i][0])
        (_, here, place), ring = ties.pop(at), rings.pop(at)
        ties = [min(tie, _nearest(ring, other), key=lambda one: one[0]) for tie, other in zip(ties, rings)]
        stop = int((points == here).all(1).argmax()) + 1
        ring = np.roll(ring, -place, axis=0)
        # There and back on the same line: filled by the even-odd rule, the way back takes away nothing.
        points = np.concatenate([points[:stop], ring, ring[:1], points[stop - 1 :]])
    ahead, behind = np.roll(points, -1, 0) - points, points - np.roll(points, 1, 0)
    corners = points[(ahead != behind).any(1)] if len(points) > 3 else points
    return np.concatenate([corners, corners[:1].repeat(max(0, 3 - len(corners)), 0)])


def _nearest(a: np.ndarray, b: np.ndarray) -> tuple[int, np.ndarray, int]:
    """(squared distance, the point of a, the place in b) of the two points (x, y) nearest to each other."""
    squares = ((a[:, None].astype(np.int64) - b[None]) ** 2).sum(-1)
    at = int(squares.argmin())
    return int(squares.flat[at]), a[at // len(b)], at % len(b)
