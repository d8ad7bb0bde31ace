"""Nodes for the tests only: tiny native models with random weights, and probes that read what happened."""


async def comfy_entrypoint():
    from comfy_api.latest import ComfyExtension

    class TestPack(ComfyExtension):
        async def get_node_list(self):
            from .compiled import COMPILED
            from .controls import CONTROLS
            from .families import FAMILIES
            from .files import FILES
            from .models import MODELS
            from .probes import PROBES
            from .tensors import TENSORS
            from .transfer1 import TRANSFER1
            from .vision import VISION

            return MODELS + FAMILIES + COMPILED + CONTROLS + PROBES + FILES + TENSORS + TRANSFER1 + VISION

    return TestPack()
