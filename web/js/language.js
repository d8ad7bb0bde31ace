// The user's language, and our words in it: {English: translation} of `web/FOLDER/LANGUAGE.json`; nothing where we have
// none. `graphs`, which `scripts/make_graph_words.py` writes, is what shipped graphs say; `reports` is what nodes say.
import { app } from "../../../scripts/app.js";

const LANGUAGES = ["zh", "zh-TW", "ja", "ko", "fr", "es", "ru", "pt-BR"];
const known = {};

async function read(file) {
  const answer = await fetch(new URL(`../${file}.json`, import.meta.url));
  return answer.ok ? answer.json() : {};
}

export async function ownWords(folder) {
  const language = app.extensionManager?.setting?.get("Comfy.Locale");
  if (!LANGUAGES.includes(language)) return {};
  const file = `${folder}/${language}`;
  return (known[file] ??= read(file).catch(() => ({})));
}
