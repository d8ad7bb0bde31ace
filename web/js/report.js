// Shows a node's text report inside the node: ui.text after a run, and what the node says before it starts to compute.
// The box is display only: never saved, never sent, never edited, and in the user's language.
//
// Hooks and events of the frontend only, nothing patched: `executed` and our own message bring texts while a graph
// runs, `onNodeOutputsUpdated` brings them back when a workflow's tab is opened again. How a text finds its node is
// in `textOf` and `nodeAt`; a later extension API replaces the last block of this file and nothing else.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { ownWords } from "./language.js";
import { isOurs, nodeAt } from "./places.js";
import { translator } from "./sentences.js";

const BOX = "report_view";
const LINE = 17, PADDING = 14, CHARACTER = 7; // pixels
// Of Chinese, Japanese and Korean characters, and how much wider they are.
const WIDE = /[\u1100-\u11ff\u2e80-\ud7ff\uf900-\ufaff\uff00-\uff60]/g, WIDER = 4;
const MOST = 16; // lines; of longer texts the box shows the beginning and scrolls
// The text lies in a frame without adding to its height: Nodes 2.0 would make room for all of it.
const FRAME = { position: "relative", width: "100%", height: "100%" };
const STYLE = {
  position: "absolute",
  inset: "0",
  boxSizing: "border-box",
  overflow: "auto",
  padding: `${PADDING / 2}px 8px`,
  borderRadius: "6px",
  background: "var(--comfy-input-bg)",
  color: "var(--input-text)",
  font: `11px/${LINE}px ui-monospace, monospace`,
  whiteSpace: "pre-wrap",
  overflowWrap: "anywhere",
  userSelect: "text",
};

// -- the box ---------------------------------------------------------------------------------------------------------

// What the text needs, lines broken at the box's width.
function heightOf(text, width) {
  const room = Math.max(20 * CHARACTER, width - 50);
  const needed = (line) => line.length * CHARACTER + (line.match(WIDE)?.length ?? 0) * WIDER;
  const lines = text.split("\n").reduce((sum, line) => sum + Math.max(1, Math.ceil(needed(line) / room)), 0);
  return Math.min(lines, MOST) * LINE + PADDING;
}

function boxOf(node) {
  const found = node.widgets?.find((widget) => widget.name === BOX);
  if (found) return found;
  const [element, page] = [document.createElement("div"), document.createElement("div")];
  element.className = "videorealism-report";
  element.append(page);
  Object.assign(element.style, FRAME);
  Object.assign(page.style, STYLE);
  // Text is selected, and scrolled where there is more of it, instead of the canvas.
  element.addEventListener("pointerdown", (event) => event.stopPropagation());
  element.addEventListener("wheel", (event) => {
    if (page.scrollHeight > page.clientHeight) event.stopPropagation();
  });
  const box = node.addDOMWidget(BOX, "report", element, {
    serialize: false,
    getValue: () => page.textContent,
    setValue: (text) => (page.textContent = text),
    getMinHeight: () => heightOf(page.textContent, node.size[0]),
  });
  box.serialize = false;
  box.label = ""; // no name beside it
  return box;
}

function show(node, text) {
  const box = boxOf(node);
  if (box.value === text) return;
  box.value = text;
  box.element.style.minHeight = `${heightOf(text, node.size[0])}px`;
  const [width, height] = node.size; // the width stays: beside a video, computeSize asks for a wider node each time
  node.setSize?.([width, Math.max(height, node.computeSize()[1])]);
  app.canvas?.setDirty?.(true, true);
}

// -- finding texts ----------------------------------------------------------------------------------------------------

// One text for each item of a list; chunks often say the same.
const textOf = (output) => output?.text && [...new Set([output.text].flat())].join("\n\n");

const translators = new WeakMap(); // by the sentences that they know

async function showAt(id, text) {
  if (!text || !isOurs(nodeAt(id))) return;
  const sentences = await ownWords("reports");
  if (!translators.has(sentences)) translators.set(sentences, translator(sentences));
  const node = nodeAt(id); // another workflow may have been opened meanwhile
  if (isOurs(node)) show(node, translators.get(sentences)(text));
}

function showAll(outputs) {
  for (const [id, output] of Object.entries(outputs ?? {})) showAt(id, textOf(output));
}

// Nodes 2.0 takes the pictures of a run for the video of a node that has one, and says that it failed to load. They
// are shown below it all the same, so the video's place stays empty while there are such pictures.
function pictureCame({ detail }) {
  const node = nodeAt(detail.displayNodeId);
  if (window.LiteGraph?.vueNodesMode && isOurs(node) && node.previewMediaType === "video") node.hideOutputImages = true;
}

// -- where the frontend tells of them --------------------------------------------------------------------------------

app.registerExtension({
  name: "videorealism.report",
  setup() {
    api.addEventListener("video_realism.report", ({ detail }) => showAt(detail.node, detail.text));
    api.addEventListener("b_preview_with_metadata", pictureCame);
    api.addEventListener("executed", ({ detail }) => showAt(detail.display_node || detail.node, textOf(detail.output)));
  },
  onNodeOutputsUpdated: showAll,
  // Frontends before onNodeOutputsUpdated put the outputs back a moment after the graph, and tell nobody.
  afterConfigureGraph() {
    for (const delay of [0, 300, 1500]) setTimeout(() => showAll(app.nodeOutputs), delay);
  },
});
