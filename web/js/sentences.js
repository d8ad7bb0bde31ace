// A report in another language. Sentences are {English: translation} of `web/reports/LANGUAGE.json`: what differs from
// run to run is {} in English; in a translation {0} is what stood in the first, as it stands, and {1+} what stood in
// the second, turned as well. What is no sentence of ours stays: prompts, names, tables of figures.

const LISTS = [" and no ", " and the ", " and ", ", "]; // what joins the parts of a list
const literal = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

// sentences -> (report -> the report in that language)
export function translator(sentences) {
  const known = Object.entries(sentences).map(([english, translation]) => {
    const parts = english.split("{}");
    const pattern = new RegExp(`^${parts.map(literal).join("(.*?)")}$`);
    return { pattern, translation, begun: parts[0].length, said: parts.join("").length };
  });
  known.sort((a, b) => b.begun - a.begun || b.said - a.said); // of two that fit, the one that says more

  const fill = (translation, values) =>
    translation.replace(/\{(\d+)(\+?)\}/g, (_, number, turned) => (turned ? part : String)(values[number]));

  function sentence(text) {
    for (const { pattern, translation } of known) {
      const found = pattern.exec(text);
      if (found) return fill(translation, found.slice(1));
    }
    return null;
  }

  // A list of sentences, where all its parts are some.
  function list(text, joint) {
    const pieces = text.split(joint).map(sentence);
    return pieces.length < 2 || pieces.includes(null) ? null : pieces.join(sentences[joint] ?? joint);
  }

  // What stands inside a sentence of ours: sentences, or a list of anything.
  function part(text) {
    const inner = text.trim(), joint = LISTS.find((joint) => text.includes(joint));
    const whole = (joint ? list(inner, joint) : null) ?? sentence(inner);
    if (whole !== null) return text.replace(inner, () => whole);
    return joint ? text.split(joint).map(part).join(sentences[joint] ?? joint) : text;
  }

  function line(text) {
    const whole = sentence(text) ?? list(text, ", ");
    if (whole !== null) return whole;
    const colon = text.indexOf(": "); // a name before a sentence
    const rest = colon < 0 ? null : sentence(text.slice(colon + 2));
    return rest === null ? text : text.slice(0, colon + 2) + rest;
  }

  return (report) => report.split("\n").map(line).join("\n");
}
