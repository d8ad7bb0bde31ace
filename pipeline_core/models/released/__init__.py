"""Formats as they are released: Cosmos-Transfer1's checkpoints, Cosmos-Transfer2.5's folders."""
