"""Edits by instruction (InsV2V, arXiv 2311.00213): paired prompts, pairs of clips from them, which pairs are good."""
