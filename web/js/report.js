// Draws a node's text report inside the node: ui.text after a run, and what the node says before it starts to compute.
// The widget is display only: never saved, never sent.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { ComfyWidgets } from "../../../scripts/widgets.js";

const WIDGET = "report_view";

function reportWidget(node) {
  const found = node.widgets?.find((widget) => widget.name === WIDGET);
  if (found) return found;
  const { widget } = ComfyWidgets.STRING(node, WIDGET, ["STRING", { multiline: true }], app);
  if (widget.inputEl) widget.inputEl.readOnly = true;
  widget.serialize = false;
  widget.options.serialize = false;
  return widget;
}

function show(node, text) {
  reportWidget(node).value = text;
  const [width, height] = node.computeSize();
  node.setSize?.([Math.max(node.size[0], width), Math.max(node.size[1], height)]);
}

app.registerExtension({
  name: "VideoRealism.Report",
  setup() {
    api.addEventListener("video_realism.report", ({ detail }) => {
      const node = app.graph?.getNodeById?.(Number(detail.node)) ?? app.graph?.getNodeById?.(detail.node);
      if (node) show(node, detail.text);
    });
  },
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!nodeData.name.startsWith("VideoRealism")) return;
    const onExecuted = nodeType.prototype.onExecuted;
    nodeType.prototype.onExecuted = function (output) {
      onExecuted?.apply(this, arguments);
      // One text for each item of a list; chunks often say the same.
      if (output?.text) show(this, [...new Set(output.text)].join("\n\n"));
    };
  },
});
