// node check_workflow.mjs FOLDER_WITH_PLAYWRIGHT CHROMIUM http://127.0.0.1:PORT
// One headless browser on ComfyUI's own frontend. Jobs come as JSON lines on standard input, results leave as JSON
// lines: {workflow, queue, timeout, screenshot} -> what the frontend made of the workflow. The first line out says
// that the page is up.
import { createRequire } from "module";
import { createInterface } from "readline";

const [packages, executablePath, base] = process.argv.slice(2);
const { chromium } = createRequire(packages + "/")("playwright-core");
const SETTINGS = {
  "Comfy.TutorialCompleted": true, // no template dialog over the canvas
  "Comfy.Canvas.LeftMouseClickBehavior": "panning", // older frontends trip over these two when they are not set
  "Comfy.Canvas.MouseWheelScroll": "zoom",
  "Comfy.Workflow.ShowMissingModelsWarning": false,
  "Comfy.Minimap.Visible": false, // in the way of pictures, as is the next one
  "Comfy.Graph.CanvasInfo": false,
};

// Runs in the page: loads a workflow and tells what got lost.
async function load(workflow) {
  const subgraphs = workflow.definitions?.subgraphs ?? [];
  const known = new Set([...Object.keys(window.LiteGraph.registered_node_types), ...subgraphs.map((s) => s.id)]);
  const types = [workflow, ...subgraphs].flatMap((graph) => graph.nodes.map((node) => node.type));
  await window.app.loadGraphData(structuredClone(workflow), true, true, "checked");
  await new Promise((done) => setTimeout(done, 500));
  const graph = window.app.graph;
  // A link counts where its target has an input of that name with that origin: slots may move, names may not.
  const name = (origin, slot, target, input) => `${origin}:${slot} -> ${target}.${input}`;
  const kept = new Set();
  for (const node of graph._nodes) {
    for (const input of node.inputs ?? []) {
      const link = graph.links.get?.(input.link) ?? graph.links[input.link];
      if (link) kept.add(name(link.origin_id, link.origin_slot, node.id, input.name));
    }
  }
  const wanted = (workflow.links ?? []).map(([, origin, slot, target, index]) => {
    const inputs = workflow.nodes.find((node) => node.id === target)?.inputs;
    return name(origin, slot, target, inputs?.[index]?.name);
  });
  const boxes = graph._nodes.map((node) => {
    const [x, y, width, height] = node.getBounding();
    return { title: node.title, x, y, right: x + width, bottom: y + height };
  });
  const overlaps = boxes.flatMap((a, i) =>
    boxes
      .slice(i + 1)
      .filter((b) => a.x < b.right && b.x < a.right && a.y < b.bottom && b.y < a.bottom)
      .map((b) => `${a.title} / ${b.title}`)
  );
  return {
    missing: [...new Set(types.filter((type) => !known.has(type)))],
    droppedLinks: wanted.filter((link) => !kept.has(link)),
    overlaps,
    prompt: (await window.app.graphToPrompt()).output,
  };
}

// Runs in the page: queues what is on the canvas and waits for its end.
async function queue(timeout) {
  const api = window.app.api;
  const widgets = () => Object.fromEntries(window.app.graph.serialize().nodes.map((n) => [n.id, n.widgets_values ?? []]));
  const before = widgets();
  const ended = new Promise((done) => {
    api.addEventListener("execution_success", () => done("success"), { once: true });
    api.addEventListener("execution_interrupted", () => done("interrupted"), { once: true });
    api.addEventListener(
      "execution_error",
      ({ detail }) => done(`error in ${detail.node_type}: ${detail.exception_message.trim()}`),
      { once: true }
    );
    setTimeout(() => done("timeout"), timeout);
  });
  await window.app.queuePrompt(0, 1);
  const refused = window.app.lastNodeErrors ?? {};
  const queued = Object.keys(refused).length ? "rejected " + JSON.stringify(refused) : await ended;
  await new Promise((done) => setTimeout(done, 300)); // reports are drawn
  const after = widgets();
  const changed = Object.keys(before).filter((id) => JSON.stringify(before[id]) !== JSON.stringify(after[id]));
  return { queued, changedWidgets: changed };
}

// Run in the page: a window that shows the whole graph at full size (smaller, the canvas leaves out text), and that view.
const LEFT = 90, TOP = 110, MARGIN = 30; // beside the toolbars
function bounds() {
  const { _nodes, _groups } = window.app.graph;
  const boxes = [..._nodes.map((node) => [...node.getBounding()]), ..._groups.map((group) => [...group._bounding])];
  const low = (i) => Math.min(...boxes.map((box) => box[i]));
  const high = (i) => Math.max(...boxes.map((box) => box[i] + box[i + 2]));
  return { x: low(0), y: low(1), width: high(0) - low(0), height: high(1) - low(1) };
}
const inPage = (body) => `(() => { const LEFT = ${LEFT}, TOP = ${TOP}, MARGIN = ${MARGIN}; ${bounds}; ${body} })()`;
const wholeSize = inPage(`
  const { width, height } = bounds();
  return { width: Math.ceil(width + LEFT + MARGIN), height: Math.ceil(height + TOP + MARGIN) };`);
const showWhole = inPage(`
  const { x, y } = bounds(), { ds } = window.app.canvas;
  ds.scale = 1;
  ds.offset[0] = LEFT - x;
  ds.offset[1] = TOP - y;
  window.app.canvas.setDirty(true, true);`);

const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
});
const page = await browser.newPage({ viewport: { width: 1920, height: 1080 } });
page.setDefaultTimeout(240000); // a busy machine is no fault of the workflow
let pageErrors = [];
page.on("pageerror", (error) => pageErrors.push(String(error.stack ?? error).slice(0, 600)));
// The frontend asks hosts on the internet; the check stays on this machine.
await page.route("**/*", (route) => {
  const { hostname, protocol } = new URL(route.request().url());
  return hostname === "127.0.0.1" || protocol !== "http:" && protocol !== "https:" ? route.continue() : route.abort();
});
for (const [key, value] of Object.entries(SETTINGS)) {
  const headers = { "content-type": "application/json" };
  await page.request.post(`${base}/settings/${key}`, { data: JSON.stringify(value), headers });
}
await page.goto(base, { waitUntil: "domcontentloaded" });
const ready = () => {
  const { app, LiteGraph } = window;
  return app?.extensionManager && app.graph && Object.keys(LiteGraph?.registered_node_types ?? {}).length > 100;
};
await page.waitForFunction(ready);
const version = await page.evaluate(() => window.__COMFYUI_FRONTEND_VERSION__);
console.log(JSON.stringify({ ready: true, version, pageErrors }));

for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(line);
  pageErrors = [];
  const result = {};
  try {
    Object.assign(result, await page.evaluate(load, job.workflow));
    if (job.queue) Object.assign(result, await page.evaluate(queue, job.timeout * 1000));
    if (job.screenshot) {
      await page.keyboard.press("Escape");
      const before = page.viewportSize();
      await page.setViewportSize(await page.evaluate(wholeSize));
      await page.waitForTimeout(500);
      for (let draw = 0; draw < 3; draw++) {
        await page.evaluate(showWhole); // again: previews find their size while they are drawn
        await page.waitForTimeout(1000);
      }
      await page.screenshot({ path: job.screenshot });
      await page.setViewportSize(before);
    }
  } catch (error) {
    result.failed = String(error).slice(0, 1000);
  }
  console.log(JSON.stringify({ ...result, pageErrors }));
}
await browser.close();
