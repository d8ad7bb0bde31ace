"""The graphs that ship in workflows/: one file per family, the parts they share, the canvas that writes them."""
