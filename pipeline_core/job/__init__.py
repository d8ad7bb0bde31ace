"""One job: what it can be told, its plan, the passes of a latent, the run and how it is resumed."""
