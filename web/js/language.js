// The user's language, and our words in it: {English: translation} of `web/graphs/LANGUAGE.json`, which
// `scripts/make_graph_words.py` writes; nothing where we have none.
import { app } from "../../../scripts/app.js";

const LANGUAGES = ["zh", "zh-TW", "ja", "ko", "fr", "es", "ru", "pt-BR"];
const known = {};

async function read(language) {
  const answer = await fetch(new URL(`../graphs/${language}.json`, import.meta.url));
  return answer.ok ? answer.json() : {};
}

export async function ownWords() {
  const language = app.extensionManager?.setting?.get("Comfy.Locale");
  if (!LANGUAGES.includes(language)) return {};
  return (known[language] ??= read(language).catch(() => ({})));
}
