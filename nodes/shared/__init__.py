"""What several node schemas share: widgets, checks on inputs, texts."""
