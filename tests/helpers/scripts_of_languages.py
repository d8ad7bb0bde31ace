"""Characters by which a text is seen to be in a language of another writing: a rare one is enough, as of the longer
texts nearly every one has some."""

SCRIPTS = {
    "zh": "[\u4e00-\u9fff]",
    "zh-TW": "[\u4e00-\u9fff]",
    "ja": "[\u3040-\u30ff]",
    "ko": "[\uac00-\ud7a3]",
    "ru": "[\u0430-\u044f]",
}
