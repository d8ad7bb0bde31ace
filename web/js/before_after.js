// A clip before and after, over each other, with a line between them to drag: what `nodes/host/before_after.py` sent.
// Display only: never saved, never sent. Where a frontend offers less than is asked of it here, there is no player and
// nothing else changes.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { ownWords } from "./language.js";
import { isOurs, nodeAt } from "./places.js";

const KEY = "video_realism_before_after";
const BOX = "before_after_view";
const HIGHEST = 260, SIDES = 30; // pixels: the player, and what a node has beside it
const FRAME = { position: "relative", width: "100%", height: "100%", overflow: "hidden", cursor: "ew-resize" };
const VIDEO = { position: "absolute", inset: "0", width: "100%", height: "100%", objectFit: "contain" };
const LINE = { position: "absolute", top: "0", bottom: "0", width: "2px", background: "#fff", pointerEvents: "none" };
const NAME = {
  position: "absolute",
  top: "4px",
  padding: "1px 6px",
  borderRadius: "4px",
  background: "rgba(0, 0, 0, 0.6)",
  color: "#fff",
  font: "11px sans-serif",
  pointerEvents: "none",
};

const part = (tag, style, properties) =>
  Object.assign(document.createElement(tag), properties, { style: Object.entries(style).map(css).join(";") });
const css = ([name, value]) => `${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}:${value}`;

function heightOf(box, width) {
  return box.ratio ? Math.round(Math.min(HIGHEST, (width - SIDES) * box.ratio)) : 0;
}

function playerOf(node) {
  const known = node.widgets?.find((widget) => widget.name === BOX);
  if (known) return known;
  const element = part("div", FRAME, { className: "videorealism-before-after" });
  const silent = { muted: true, loop: true, autoplay: true, playsInline: true };
  const [before, after] = [part("video", VIDEO, silent), part("video", VIDEO, silent)];
  const line = part("div", LINE);
  const names = [part("span", { ...NAME, left: "4px" }, { textContent: "before" })];
  names.push(part("span", { ...NAME, right: "4px" }, { textContent: "after" }));
  element.append(before, after, line, ...names);
  ownWords("graphs").then((words) => {
    for (const name of names) name.textContent = words[name.textContent] ?? name.textContent;
  });
  const cut = (share) => {
    line.style.left = `calc(${100 * share}% - 1px)`;
    after.style.clipPath = `inset(0 0 0 ${100 * share}%)`;
  };
  cut(0.5);
  const follow = (event) => {
    event.stopPropagation(); // the node stays where it is
    if (event.type === "pointermove" && !event.buttons) return;
    const { left, width } = element.getBoundingClientRect();
    cut(Math.min(1, Math.max(0, (event.clientX - left) / width)));
  };
  for (const name of ["pointerdown", "pointermove"]) element.addEventListener(name, follow);
  before.addEventListener("timeupdate", () => {
    if (Math.abs(after.currentTime - before.currentTime) > 0.05) after.currentTime = before.currentTime;
  });
  // The classic canvas draws a widget with a margin that it takes off the height given here.
  const room = () => (box.ratio ? heightOf(box, node.size[0]) + 2 * (box.margin ?? 10) : 0);
  const box = node.addDOMWidget(BOX, "before_after", element, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: () => room(),
    getMaxHeight: () => room(),
  });
  Object.assign(box, { serialize: false, label: "", videos: [before, after], ratio: 0 });
  const resize = () => {
    element.style.minHeight = `${heightOf(box, node.size[0])}px`;
    const [width, height] = node.size;
    node.setSize?.([width, Math.max(height, node.computeSize()[1])]);
    app.canvas?.setDirty?.(true, true);
  };
  before.addEventListener("loadedmetadata", () => {
    box.ratio = before.videoHeight / before.videoWidth;
    resize();
  });
  // A server that was started anew has emptied its temp folder.
  before.addEventListener("error", () => {
    box.ratio = 0;
    resize();
  });
  return box;
}

const address = (filename) => api.apiURL(`/view?${new URLSearchParams({ filename, type: "temp" })}`);

function showAt(id, output) {
  const files = output?.[KEY];
  const node = files?.length === 2 && nodeAt(id);
  if (!isOurs(node) || !node.addDOMWidget) return;
  const { videos } = playerOf(node);
  const [before, after] = files.map(address);
  if (videos[0].src.endsWith(before)) return;
  [videos[0].src, videos[1].src] = [before, after];
}

function showAll(outputs) {
  for (const [id, output] of Object.entries(outputs ?? {})) showAt(id, output);
}

app.registerExtension({
  name: "videorealism.before_after",
  setup() {
    api.addEventListener("executed", ({ detail }) => showAt(detail.display_node || detail.node, detail.output));
  },
  onNodeOutputsUpdated: showAll,
  // Frontends before onNodeOutputsUpdated put the outputs back a moment after the graph, and tell nobody.
  afterConfigureGraph() {
    for (const delay of [0, 300, 1500]) setTimeout(() => showAll(app.nodeOutputs), delay);
  },
});
