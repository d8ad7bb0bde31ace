"""The pack's example clips, served to the frontend: it asks for the file behind a loader's menu to show it.

It asks for every clip as for one in the input folder (GET /view), where the examples do not lie.
"""

from aiohttp import web

from .paths import EXAMPLE, example_clips


def serve_examples() -> None:
    """Answer /view for the names of the examples; every other request goes on to ComfyUI. Before the server starts."""
    from server import PromptServer  # there is one only where ComfyUI serves

    instance = getattr(PromptServer, "instance", None)
    if instance and not instance.app.frozen:
        instance.app.middlewares.append(examples_first)


@web.middleware
async def examples_first(request: web.Request, handler) -> web.StreamResponse:
    name = request.query.get("filename", "")
    if request.path in ("/view", "/api/view") and request.query.get("type") == "input" and name.startswith(EXAMPLE):
        clip = example_clips().get(name.removeprefix(EXAMPLE))
        if clip is not None:
            return web.FileResponse(clip)
    return await handler(request)
