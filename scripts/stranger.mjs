// node scripts/stranger.mjs FOLDER_WITH_PLAYWRIGHT CHROMIUM http://127.0.0.1:PORT classic|nodes2 CLIP OUT
// What a person does who has just installed the pack: opens the first template, runs it, changes the prompt to night,
// runs again, and enhances a clip of their own. A picture of every stop goes to OUT; the last lines are the clicks and
// seconds. Only what such a person can reach is clicked; the page's objects are read to know when a run has ended.
import { createRequire } from "module";
import { mkdirSync, writeFileSync } from "fs";

const [packages, executablePath, base, mode, clip, out] = process.argv.slice(2);
const { chromium } = createRequire(packages + "/")("playwright-core");
const PACK = "ComfyUI-VideoRealism";
const NIGHT = "a dashcam video at night";
const UPLOAD = "choose file to upload"; // the classic canvas's button below a file's name
mkdirSync(out, { recursive: true });

const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
});
const page = await browser.newPage({ viewport: { width: 1920, height: 1080 } });
page.setDefaultTimeout(120000);
await page.route("**/*", (route) => {
  const { hostname, protocol } = new URL(route.request().url());
  return hostname === "127.0.0.1" || !protocol.startsWith("http") ? route.continue() : route.abort();
});
for (const [key, value] of Object.entries({
  "Comfy.VueNodes.Enabled": mode === "nodes2",
  "Comfy.TutorialCompleted": true,
  "Comfy.Workflow.Persist": false,
})) {
  const headers = { "content-type": "application/json" };
  await page.request.post(`${base}/settings/${key}`, { data: JSON.stringify(value), headers });
}
await page.goto(base, { waitUntil: "domcontentloaded" });
await page.waitForFunction(() => {
  const { app, LiteGraph } = window;
  return app?.extensionManager && app.graph && Object.keys(LiteGraph?.registered_node_types ?? {}).length > 100;
});

const begun = Date.now(), stops = [];
let clicks = 0, number = 0;
async function shot(name) {
  const file = `${String(++number).padStart(2, "0")}_${name}.png`;
  await page.screenshot({ path: `${out}/${file}` });
  stops.push({ stop: name, file, clicks, seconds: Math.round((Date.now() - begun) / 1000) });
  console.log(JSON.stringify(stops.at(-1)));
}
async function click(target) {
  await target.click();
  clicks++;
}

async function openTemplate(name) {
  await click(page.getByText("Templates", { exact: true }).first());
  const card = page.getByTestId(`template-workflow-${name}`);
  const ours = page.getByText(PACK, { exact: true }).first();
  await ours.waitFor();
  if (!(await card.isVisible())) await click(ours);
  await card.waitFor();
  await page.waitForTimeout(2000); // the cards' pictures
  await shot(`templates_${name}`);
  await click(card);
  await page.waitForFunction((kind) => window.app.graph._nodes.some((node) => node.comfyClass === kind), {
    enhance_one_node: "VideoRealismEnhanceRealism",
    enhance_video_file: "VideoRealismEnhanceVideoFile",
  }[name]);
  await page.waitForTimeout(2500);
  await shot(`opened_${name}`);
}

async function run(name) {
  const ended = page.evaluate(() => new Promise((done) => {
    for (const kind of ["execution_success", "execution_error", "execution_interrupted"]) {
      window.app.api.addEventListener(kind, () => done(kind), { once: true });
    }
  }));
  await click(page.getByTestId("queue-button"));
  const end = await ended;
  if (end !== "execution_success") throw new Error(`${name}: ${end}`);
  await page.waitForTimeout(4000); // videos and pictures are drawn
  await shot(name);
}

async function writePrompt(text) {
  const box = page.locator("textarea[placeholder=prompt], [data-node-id] textarea").first();
  await click(box);
  await page.keyboard.type(text);
  await shot("prompt_at_night");
}

async function choose(file) {
  const chooser = page.waitForEvent("filechooser");
  if (mode === "nodes2") {
    await click(page.locator("[data-node-id] label:has(input[type=file])").first());
  } else {
    const place = await page.evaluate((label) => {
      const { ds } = window.app.canvas;
      const named = (widget) => [widget.name, widget.label].includes(label) || widget.name === "upload";
      const node = window.app.graph._nodes.find((node) => node.widgets?.some(named));
      const widget = node.widgets.find(named);
      const [x, y] = [node.pos[0] + node.size[0] / 2, node.pos[1] + widget.last_y + 10];
      return [(x + ds.offset[0]) * ds.scale, (y + ds.offset[1]) * ds.scale];
    }, UPLOAD);
    await page.mouse.click(...place);
    clicks++;
  }
  await (await chooser).setFiles(file);
  clicks++; // the file in the system's own window
  await page.waitForTimeout(2500);
  await shot("own_clip_chosen");
}

await shot("first_sight");
await openTemplate("enhance_one_node");
await run("first_result");
await writePrompt(NIGHT);
await run("night_result");
await openTemplate("enhance_video_file");
await choose(clip);
await run("own_result");
await browser.close();
writeFileSync(`${out}/path.json`, JSON.stringify({ mode, clicks, stops }, null, 1) + "\n");
