"""Small networks that look at the world's frames, in the classes and folder layouts of the released ones."""
