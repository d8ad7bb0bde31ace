// node check_workflow.mjs FOLDER_WITH_PLAYWRIGHT CHROMIUM http://127.0.0.1:PORT classic|nodes2
// One headless browser on ComfyUI's own frontend. Jobs come as JSON lines on standard input, results leave as JSON
// lines: {workflow, blueprint, queue, timeout, videos, screenshot} -> what the frontend made of the workflow. The first
// line out says that the page is up.
import { createRequire } from "module";
import { createInterface } from "readline";

const [packages, executablePath, base, mode] = process.argv.slice(2);
const { chromium } = createRequire(packages + "/")("playwright-core");
const SETTINGS = {
  "Comfy.TutorialCompleted": true, // no template dialog over the canvas
  "Comfy.Canvas.LeftMouseClickBehavior": "panning", // older frontends trip over these two when they are not set
  "Comfy.Canvas.MouseWheelScroll": "zoom",
  "Comfy.Workflow.ShowMissingModelsWarning": false,
  "Comfy.Minimap.Visible": false, // in the way of pictures, as is the next one
  "Comfy.Graph.CanvasInfo": false,
  "Comfy.Workflow.Persist": false, // a fresh page is one without the last workflow
  "Comfy.VueNodes.Enabled": mode === "nodes2",
};

// Runs in the page: which nodes lie over each other, and which stand out of the group that holds their middle; inside
// subgraphs too.
async function layout() {
  const { app } = window, root = app.rootGraph ?? app.graph, { canvas } = app;
  const found = await window.layoutOf(root);
  const view = [canvas.ds.scale, ...canvas.ds.offset];
  for (const subgraph of root.subgraphs?.values() ?? []) {
    canvas.setGraph(subgraph);
    const { overlaps, spills } = await window.layoutOf(subgraph);
    found.overlaps.push(...overlaps);
    found.spills.push(...spills);
  }
  if (root.subgraphs?.size) canvas.setGraph(root);
  [canvas.ds.scale, canvas.ds.offset[0], canvas.ds.offset[1]] = view;
  return found;
}

async function layoutOf(graph) {
  const { canvas } = window.app, { ds } = canvas;
  const nodes = graph._nodes;
  const low = (i) => Math.min(...nodes.map((node) => node.pos[i]));
  ds.scale = 0.2; // all in view, so that Nodes 2.0 draws them all
  [ds.offset[0], ds.offset[1]] = [500 - low(0), 500 - low(1)];
  canvas.setDirty(true, true);
  const pause = () => new Promise((done) => setTimeout(done, 500));
  const title = window.LiteGraph.NODE_TITLE_HEIGHT;
  const measured = () => nodes.map((node) => {
    const drawn = document.querySelector(`[data-node-id="${node.id}"]`)?.getBoundingClientRect();
    const [x, y] = [node.pos[0], node.pos[1] - title];
    const [width, height] = drawn?.height
      ? [drawn.width / ds.scale, drawn.height / ds.scale]
      : [node.size[0], node.size[1] + title];
    return { title: node.title, x, y, right: Math.round(x + width), bottom: Math.round(y + height) };
  });
  let boxes = [], before;
  for (let wait = 0; wait < 40 && JSON.stringify(boxes) !== before; wait++) {
    before = JSON.stringify(boxes);
    await pause();
    boxes = measured();
  }
  const meet = (a, b) => a.x < b.right && b.x < a.right && a.y < b.bottom && b.y < a.bottom;
  const overlaps = boxes.flatMap((a, i) =>
    boxes.slice(i + 1).filter((b) => meet(a, b)).map((b) => {
      const deep = Math.min(a.bottom, b.bottom) - Math.max(a.y, b.y);
      return `${a.title} / ${b.title} by ${Math.round(deep)}`;
    })
  );
  const groups = graph._groups.map((group) => {
    const [x, y, width, height] = group._bounding;
    return { title: group.title, x, y, right: x + width, bottom: y + height };
  });
  const spills = boxes.flatMap((box) =>
    groups
      .filter((group) => meet({ ...group }, { ...box, x: (box.x + box.right) / 2, right: (box.x + box.right) / 2 }))
      .filter((g) => box.x < g.x || box.y < g.y || box.right > g.right || box.bottom > g.bottom)
      .map((group) => `${box.title} out of ${group.title} by ${Math.round(Math.max(box.bottom - group.bottom, 0))}`)
  );
  return { overlaps, spills };
}

// Runs in the page: the texts in the boxes of our nodes, those inside subgraphs too.
function reports() {
  const root = window.app.rootGraph ?? window.app.graph;
  const nodes = [root, ...(root.subgraphs?.values() ?? [])].flatMap((graph) => graph._nodes);
  const boxes = nodes.map((node) => [node.title, node.widgets?.find((w) => w.name === "report_view")]);
  return Object.fromEntries(boxes.filter(([, box]) => box).map(([title, box]) => [title, box.value]));
}

// Runs in the page: the widths of the videos that the nodes show, by what is asked of the server; 0 where none came.
async function videos() {
  const shown = () => [...document.querySelectorAll("video")].filter((video) => video.src);
  for (let wait = 0; wait < 20 && !(shown().length && shown().every((video) => video.videoWidth)); wait++) {
    await new Promise((done) => setTimeout(done, 250));
  }
  const name = (video) => new URL(video.src).searchParams.get("filename");
  return Object.fromEntries(shown().map((video) => [name(video), video.videoWidth]));
}

// Runs in the page: what Nodes 2.0 writes in the place of a picture or video that it cannot show.
const unshown = () => document.body.innerText.match(/.*failed to load.*/gi) ?? [];

// Runs in the page: which reports are gone after another workflow's tab was opened in between.
async function switchTabs() {
  const shown = window.reports();
  const run = (command) => window.app.extensionManager.command.execute(command);
  const pause = () => new Promise((done) => setTimeout(done, 1200));
  await run("Comfy.NewBlankWorkflow");
  await pause();
  await run("Workspace.PreviousOpenedWorkflow");
  let lost = Object.keys(shown);
  for (let wait = 0; lost.length && wait < 20; wait++) {
    await pause();
    const back = window.reports();
    lost = Object.keys(shown).filter((title) => back[title] !== shown[title]);
  }
  return { reports: shown, lostReports: lost };
}

// Runs in the page: loads a workflow and tells what got lost.
async function load(workflow) {
  const subgraphs = workflow.definitions?.subgraphs ?? [];
  const known = new Set([...Object.keys(window.LiteGraph.registered_node_types), ...subgraphs.map((s) => s.id)]);
  const types = [workflow, ...subgraphs].flatMap((graph) => graph.nodes.map((node) => node.type));
  await window.app.loadGraphData(structuredClone(workflow), true, true, "checked");
  await new Promise((done) => setTimeout(done, 500));
  const graph = window.app.rootGraph ?? window.app.graph;
  // A link counts where its target has an input of that name with that origin: slots may move, names may not. Those to
  // a subgraph's own outputs show in the prompt.
  const name = (origin, slot, target, input) => `${origin}:${slot} -> ${target}.${input}`;
  const kept = new Set();
  for (const level of [graph, ...(graph.subgraphs?.values() ?? [])]) {
    for (const node of level._nodes) {
      for (const input of node.inputs ?? []) {
        const link = level.links.get?.(input.link) ?? level.links[input.link];
        if (link) kept.add(name(link.origin_id, link.origin_slot, node.id, input.name));
      }
    }
  }
  const OUTPUTS = -20;
  const ends = (link) => (Array.isArray(link) ? link.slice(1, 5)
    : [link.origin_id, link.origin_slot, link.target_id, link.target_slot]);
  const wanted = [workflow, ...subgraphs].flatMap((level) =>
    (level.links ?? []).map(ends).filter(([, , target]) => target !== OUTPUTS).map(([origin, slot, target, index]) => {
      const inputs = level.nodes.find((node) => node.id === target)?.inputs;
      return name(origin, slot, target, inputs?.[index]?.name);
    })
  );
  return {
    missing: [...new Set(types.filter((type) => !known.has(type)))],
    droppedLinks: wanted.filter((link) => !kept.has(link)),
    ...(await window.layout()),
    unshown: window.unshown(),
    prompt: (await window.app.graphToPrompt()).output,
  };
}

// Runs in the page: puts a blueprint on the canvas, as the frontend's node library does, and reads what it says there.
async function place(blueprint) {
  const { nodes, definitions } = structuredClone(blueprint);
  const added = window.app.canvas._deserializeItems({ nodes, subgraphs: definitions.subgraphs }, { position: [0, 0] });
  await new Promise((done) => setTimeout(done, 1000));
  const [box] = added.nodes.values(), { subgraph } = box;
  const sockets = [box, subgraph].flatMap((item) => [...item.inputs, ...item.outputs]);
  const named = sockets.map((socket) => socket.label ?? socket.name);
  return [box.title, subgraph.name, ...subgraph.nodes.map((node) => node.title), ...named];
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
  const { overlaps, spills } = await window.layout();
  const drawn = { overlapsAfter: overlaps, spillsAfter: spills, unshownAfter: window.unshown() };
  return { queued, changedWidgets: changed, ...drawn, ...(await window.switchTabs()) };
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
let pageErrors = [], warnings = [], lostPreviews = [];
// Of our own code; the frontend's own are its own business.
page.on("console", (message) => {
  const ours = /VideoRealism/i.test(message.location().url + message.text());
  if (ours && ["warning", "error"].includes(message.type())) warnings.push(message.text().slice(0, 300));
});
page.on("response", (response) => {
  const { pathname, search } = new URL(response.url());
  if (response.status() >= 400 && pathname.endsWith("/view")) lostPreviews.push(search);
});
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
const ready = () => {
  const { app, LiteGraph } = window;
  return app?.extensionManager && app.graph && Object.keys(LiteGraph?.registered_node_types ?? {}).length > 100;
};
// Anew for every workflow: the frontend shows pictures of one graph in the next one's nodes of the same number.
async function open() {
  await page.goto(base, { waitUntil: "domcontentloaded" });
  await page.waitForFunction(ready);
  await page.evaluate(`Object.assign(window, { layout: ${layout}, layoutOf: ${layoutOf}, reports: ${reports}, unshown: ${unshown} })`);
  await page.evaluate(`window.switchTabs = ${switchTabs}`);
}
await open();
const version = await page.evaluate(() => window.__COMFYUI_FRONTEND_VERSION__);
console.log(JSON.stringify({ ready: true, version, pageErrors, warnings }));

for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(line);
  [pageErrors, warnings, lostPreviews] = [[], [], []];
  const result = {};
  try {
    await open();
    Object.assign(result, await page.evaluate(load, job.workflow));
    if (job.blueprint) result.placed = await page.evaluate(place, job.blueprint);
    if (job.queue) Object.assign(result, await page.evaluate(queue, job.timeout * 1000));
    if (job.videos) result.videos = await page.evaluate(videos);
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
  console.log(JSON.stringify({ ...result, pageErrors, warnings, lostPreviews }));
}
await browser.close();
