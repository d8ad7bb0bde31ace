// Draws a node's text report (ui.text) inside the node. The widget is display only: never saved, never sent.
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

app.registerExtension({
  name: "VideoRealism.Report",
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!nodeData.name.startsWith("VideoRealism")) return;
    const onExecuted = nodeType.prototype.onExecuted;
    nodeType.prototype.onExecuted = function (output) {
      onExecuted?.apply(this, arguments);
      if (!output?.text) return;
      // One text for each item of a list; chunks often say the same.
      reportWidget(this).value = [...new Set(output.text)].join("\n\n");
      const [width, height] = this.computeSize();
      this.setSize?.([Math.max(this.size[0], width), Math.max(this.size[1], height)]);
    };
  },
});
