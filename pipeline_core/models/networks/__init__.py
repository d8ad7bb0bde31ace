"""The networks of a video model at work: one forward for all branches, text, VAE, what they predict."""
