"""Reproduce the embedded weights: python -m training. Every stage resumes where it stopped or skips what is done.

render -> VAE -> a larger decoder for it -> its preview colours -> tokenizer -> latents -> DiT with control branches
and text encoder -> critic -> model card
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys

# Scene seeds below 800000 train; 600000 and up are the critic's own, 800000 tune, 850000 validate, 900000 measure.
COMPILE = ["--compile"] if shutil.which("g++") else []
STAGES = {
    "render": ["training.render", "--first", "0", "--count", "{scenes}"],
    "render validation": ["training.render", "--first", "850000", "--count", "8"],
    "render critic": ["training.render", "--first", "600000", "--count", "60"],
    "vae": ["training.vae", "--minutes", "{vae_minutes}"],
    "decoder": "training.vae --decoder-only --grow 2 --minutes {decoder_minutes} --run training/runs/decoder".split(),
    "preview": ["training.latent_rgb"],
    "tokenizer": ["training.captions_tokenizer"],
    "latents": ["training.latents"],
    "dit": ["training.dit", "--minutes", "{dit_minutes}", "--export", *COMPILE],
    "critic": ["training.critic"],
    "card": ["training.card"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=800)
    parser.add_argument("--vae-minutes", type=float, default=20)
    parser.add_argument("--decoder-minutes", type=float, default=40)
    parser.add_argument("--dit-minutes", type=float, default=60)
    parser.add_argument("--only", choices=STAGES, help="run one stage")
    options = parser.parse_args()
    for name, command in STAGES.items():
        if options.only in (None, name):
            print(f"== {name}", flush=True)
            arguments = [part.format(**vars(options)) for part in command]
            subprocess.run([sys.executable, "-m", *arguments], check=True)


if __name__ == "__main__":
    main()
