"""The shipped graphs as templates: in the order to try them, each with its picture, and every one opens."""

import json
import urllib.request

from comfy_server import PACK_NAME, ROOT
from shipped_graphs import NAMES, ui_workflow


def test_templates_are_listed_in_order_and_every_one_opens(server):
    """ComfyUI serves the first folder of a name it knows for templates and none after it: no `examples` beside them."""

    def get(path):
        with urllib.request.urlopen(f"http://{server.address}/api/workflow_templates{path}") as answer:
            return answer.read()

    names = json.loads(get(""))[PACK_NAME]
    assert names[:2] == ["enhance_one_node", "realism_demo"] and names[2:] == sorted(names[2:])
    assert sorted(names) == NAMES
    for name in names:
        assert json.loads(get(f"/{PACK_NAME}/{name}.json")) == ui_workflow(name)
        assert get(f"/{PACK_NAME}/{name}.jpg") == (ROOT / "workflows" / f"{name}.jpg").read_bytes()
