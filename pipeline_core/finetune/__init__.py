"""Fine-tuning a model folder on clips with captions: a LoRA of its transformer, trained on latents that are cached."""
