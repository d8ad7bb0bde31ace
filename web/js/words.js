// The shipped graphs in the user's language: titles of nodes, groups and subgraphs, names of a subgraph's sockets, notes.
// The files hold English, which is replaced before the graph is put on the canvas. Only graphs that carry our mark, only
// texts that are still as shipped, and nothing that a prompt is made of: in another language a graph computes the same.
import { app } from "../../../scripts/app.js";
import { ownWords } from "./language.js";

const MARK = "video_realism"; // in the graph's `extra`

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

app.registerExtension({
  name: "videorealism.words",
  async beforeConfigureGraph(graph) {
    if (!graph?.extra?.[MARK]) return;
    const words = await ownWords();
    const subgraphs = graph.definitions?.subgraphs ?? [];
    const boxes = new Set(subgraphs.map((subgraph) => subgraph.id));
    for (const level of [graph, ...subgraphs]) translate(level, words);
    for (const subgraph of subgraphs) subgraph.name = words[subgraph.name] ?? subgraph.name;
    const edges = (graph.nodes ?? []).filter((node) => boxes.has(node.type));
    for (const item of [...subgraphs, ...edges]) nameSockets(item, words);
  },
});
