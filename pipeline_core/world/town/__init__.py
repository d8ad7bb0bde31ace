"""Version 2 of the world: a town round a closed street with bends, slopes, roundabouts and people who walk."""
