// The shipped graphs in the user's language: titles of nodes, groups and subgraphs, names of a subgraph's sockets, notes.
// The files hold English, which is replaced before the graph is put on the canvas, and where a blueprint was put on it.
// Only graphs and subgraphs that carry our mark, only texts that are still as shipped, and nothing that a prompt is made
// of: in another language a graph computes the same.
import { app } from "../../../scripts/app.js";
import { ownWords } from "./language.js";

const MARK = "video_realism"; // in the `extra` of a graph, or of a blueprint's subgraph

// The texts of one level: a graph, or what is inside a subgraph.
function translate(level, words) {
  for (const item of [...(level.nodes ?? []), ...(level.groups ?? [])]) {
    if (item.title) item.title = words[item.title] ?? item.title;
    if (item.type === "MarkdownNote") item.widgets_values = item.widgets_values?.map((text) => words[text] ?? text);
  }
}

function nameSockets(item, words) {
  for (const socket of [...(item.inputs ?? []), ...(item.outputs ?? [])]) {
    if (words[socket.name]) socket.label ??= words[socket.name];
  }
}

function rename(subgraph, words) {
  translate(subgraph, words);
  subgraph.name = words[subgraph.name] ?? subgraph.name;
  nameSockets(subgraph, words);
}

app.registerExtension({
  name: "videorealism.words",
  async beforeConfigureGraph(graph) {
    if (!graph?.extra?.[MARK]) return;
    const words = await ownWords("graphs");
    const subgraphs = graph.definitions?.subgraphs ?? [];
    const boxes = new Set(subgraphs.map((subgraph) => subgraph.id));
    translate(graph, words);
    for (const subgraph of subgraphs) rename(subgraph, words);
    for (const node of graph.nodes ?? []) if (boxes.has(node.type)) nameSockets(node, words);
  },
  async nodeCreated(node) {
    if (!node.subgraph?.extra?.[MARK]) return;
    const words = await ownWords("graphs"); // later than the node gets its title and sockets
    translate({ nodes: [node] }, words);
    nameSockets(node, words);
    rename(node.subgraph, words);
    app.canvas?.setDirty?.(true, true);
  },
});
