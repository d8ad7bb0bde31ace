"""The edit model of InsV2V (arXiv 2311.00213): a video from a video and an instruction."""
