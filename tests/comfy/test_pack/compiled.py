"""A MODEL compiled as ComfyUI's TorchCompileModel does it, by a compiler that runs the graphs as they are."""

import torch
from comfy_api.latest import io
from comfy_api.torch_helpers import set_torch_compile_wrapper

from .probes import BatchLog, Fresh, schema


class Compiled(Fresh):
    """Notes the operations of every graph; read with ReadBatchSizes."""

    @classmethod
    def define_schema(cls):
        outputs = [io.Model.Output(), BatchLog.Output()]
        return schema("Compiled", "a compiled model", [io.Model.Input("model")], outputs)

    @classmethod
    def execute(cls, model):
        graphs = []

        def as_it_is(graph, inputs):
            graphs.append(len(graph.graph.nodes))
            return graph

        def unguarded(entries):  # as TorchCompileModel has it
            return ["transformer_options" not in entry.name for entry in entries]

        torch._dynamo.reset()
        model = model.clone()
        set_torch_compile_wrapper(model=model, backend=as_it_is, options={"guard_filter_fn": unguarded})
        return io.NodeOutput(model, graphs)


COMPILED = [Compiled]
