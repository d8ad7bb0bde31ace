"""The languages of the pack's texts beside English, as ComfyUI's frontend calls them, and where node texts are."""

from pathlib import Path

LOCALES = Path(__file__).resolve().parents[2] / "locales"
LANGUAGES = ("zh", "zh-TW", "ja", "ko", "fr", "es", "ru", "pt-BR")
ALL = ("en", *LANGUAGES)
