"""ComfyUI entry point. Nothing of ComfyUI is imported at module level: pytest imports this file too."""

# ComfyUI ignores comfy_entrypoint when a NODE_CLASS_MAPPINGS exists, even an empty one: there is none here.
WEB_DIRECTORY = "./web"


async def comfy_entrypoint():
    from comfy_api.latest import ComfyExtension

    class VideoRealism(ComfyExtension):
        async def get_node_list(self):
            from .nodes import all_nodes
            from .nodes.host.selftest import log_problems

            log_problems()  # first: where a core update breaks an import below, its reason stands in the log
            from .nodes.host.served import extend_server

            extend_server()  # not in on_load, which ComfyUI 0.3.64 does not call
            return all_nodes()

    return VideoRealism()
