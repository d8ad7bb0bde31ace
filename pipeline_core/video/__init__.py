"""Video files in and out, frames as the model wants them, contact sheets, files that appear whole."""
