"""Model folders on disk and in memory: layout, preset, memory plan, placement, loading."""
