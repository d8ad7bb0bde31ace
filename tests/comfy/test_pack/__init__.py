"""Nodes for the tests only: tiny native models with random weights, and probes that read what happened."""


async def comfy_entrypoint():
    from comfy_api.latest import ComfyExtension

    class TestPack(ComfyExtension):
        async def get_node_list(self):
            from .controls import CONTROLS
            from .files import FILES
            from .models import MODELS
            from .probes import PROBES
            from .tensors import TENSORS

            return MODELS + CONTROLS + PROBES + FILES + TENSORS

    return TestPack()
