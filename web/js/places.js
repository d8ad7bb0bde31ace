// Which node on the canvas a message or an output of a run belongs to.
import { app } from "../../../scripts/app.js";

export const isOurs = (node) => node?.comfyClass?.startsWith("VideoRealism") ?? false;

// id: "7", or "27:3" for the node 3 inside the subgraph node 27, or "UUID:3" for it inside the subgraph UUID.
export function nodeAt(id) {
  const root = app.rootGraph ?? app.graph;
  const [last, ...path] = String(id).split(":").reverse();
  const graph = path.reverse().reduce(
    (graph, step) => root?.subgraphs?.get?.(step) ?? graph?.getNodeById(Number(step))?.subgraph,
    root
  );
  return graph?.getNodeById(Number(last));
}
