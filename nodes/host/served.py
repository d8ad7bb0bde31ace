"""What the pack adds to the server's answers: the files of its example clips, and an order of its templates.

The frontend asks for the file behind a loader's menu as for one in the input folder (GET /view), where the examples do
not lie. It lists templates as the server found them (GET /workflow_templates), which is the disk's order.
"""

import json
from pathlib import Path

from aiohttp import web

from .paths import example_clip

PACK = Path(__file__).parents[2].name  # as the server names it: the folder in custom_nodes, not what it may link to
FIRST = ("enhance_one_node", "realism_demo")  # the other templates follow by name


def extend_server() -> None:
    """Answer for the examples and sort the templates; all else stays ComfyUI's. Before the server starts."""
    from server import PromptServer  # there is one only where ComfyUI serves

    instance = getattr(PromptServer, "instance", None)
    if instance and not instance.app.frozen:
        instance.app.middlewares.extend([examples_first, templates_in_order])


@web.middleware
async def examples_first(request: web.Request, handler) -> web.StreamResponse:
    if request.path in ("/view", "/api/view") and request.query.get("type") == "input":
        clip = example_clip(request.query.get("filename", ""))
        if clip is not None:
            return web.FileResponse(clip)
    return await handler(request)


@web.middleware
async def templates_in_order(request: web.Request, handler) -> web.StreamResponse:
    answer = await handler(request)
    if request.path not in ("/workflow_templates", "/api/workflow_templates") or answer.status != 200:
        return answer
    templates = json.loads(answer.body)
    if PACK in templates:
        templates[PACK].sort(key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))
    return web.json_response(templates)
