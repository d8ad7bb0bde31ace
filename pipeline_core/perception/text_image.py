"""CLIP with both halves from a local transformers folder: features of frames and of texts that can be compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..conditions.estimated import Agreement
from ..devices import chosen_device
from ..doors import read_json
from ..errors import UserError
from .encoders import Encode, image_encoder, load_encoder_network, model_type
from .own import model_name

LIMIT_FILE = "contradiction.json"  # beside the weights; benchmarks/contradiction.py --tune writes it for the world's
LIMIT = 2.0  # of a network that has none: a prompt that says nothing is seven times as likely


@dataclass(frozen=True)
class TextImage:
    """image: frames (N, H, W, 3) in [0, 1] -> (N, D); texts: K prompts -> (K, D), neither normalised; scale: the
    network's trained factor on cosines, about 100; name: the folder's."""

    image: Encode
    texts: object
    scale: float
    name: str = ""

    def log_odds(self, frames: Tensor, texts: list[str]) -> Tensor:
        """(T, K) of frames (T, H, W, 3) in [0, 1] and K texts: what the network was trained to tell pairs by."""
        return self.scale * cosines(self.image(frames), self.texts(texts))


def load_agreement(folder: str | Path, device: str | torch.device | None = None) -> Agreement:
    """Of a CLIP folder, with the limit of its LIMIT_FILE or else LIMIT; UserError as `load_text_image`."""
    network, path = load_text_image(folder, device), Path(folder) / LIMIT_FILE
    limit = read_json(path, "take the folder again").get("limit") if path.is_file() else LIMIT
    if not isinstance(limit, (int, float)):
        raise UserError(f"{path} holds no limit: take the folder again, or remove that file.")
    return Agreement(network.log_odds, float(limit), model_name(Path(folder)))


def load_text_image(folder: str | Path, device: str | torch.device | None = None) -> TextImage:
    """A CLIP folder (model, tokenizer, safetensors), such as openai/clip-vit-large-patch14 or PickScore_v1,
    on `device` (None is the best there is).

    UserError for a folder of another kind or without its tokenizer.
    """
    folder, device = Path(folder), chosen_device(device)
    if model_type(folder) != "clip":
        raise UserError(f"{folder} is a {model_type(folder)} model: give a CLIP folder with its text half.")
    model = load_encoder_network(folder, device)
    tokenizer = _tokenizer(folder)

    @torch.no_grad()
    def texts(prompts: list[str]) -> Tensor:
        tokens = tokenizer(
            list(prompts), padding=True, truncation=True, return_tensors="pt",
            max_length=model.config.text_config.max_position_embeddings,
        )  # fmt: skip
        tokens = {name: tokens[name].to(device) for name in ("input_ids", "attention_mask")}
        return model.text_projection(model.text_model(**tokens).pooler_output).float().cpu()

    return TextImage(image_encoder(folder, model, device), texts, float(model.logit_scale.exp()), folder.name)


def _tokenizer(folder: Path):
    from transformers import AutoTokenizer

    # transformers 5 makes an empty tokenizer where there are no files.
    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        raise UserError(f"{folder} holds no tokenizer.json and no vocab.json: give a whole CLIP folder.")
    try:
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (ValueError, OSError, KeyError, TypeError) as error:
        line = str(error).strip().splitlines()[0]
        raise UserError(f"{folder} has no tokenizer that can be read ({line}): give a whole CLIP folder.") from error


def cosines(images: Tensor, texts: Tensor) -> Tensor:
    """(N, K) cosines of image and text features."""
    return F.normalize(images.double(), dim=1) @ F.normalize(texts.double(), dim=1).T
