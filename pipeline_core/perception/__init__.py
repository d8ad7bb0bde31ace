"""Networks that look at frames: depth, classes, objects, tracks, optical flow, captions, features."""
