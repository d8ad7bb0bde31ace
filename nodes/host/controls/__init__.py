"""CONTROL_NET objects: stacks of them, controls inside a model, branches that give terms to its blocks."""
