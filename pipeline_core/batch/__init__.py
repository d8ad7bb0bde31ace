"""Many clips: what is made of each, one clip to one result, which results are good enough."""
