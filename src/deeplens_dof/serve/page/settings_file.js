// Settings from a file that this page has saved, or that `deeplens blur --json` has written.

import { Problem } from "./api.js";

const NO_REQUEST = -1;

/** The values in a file, by name; the focus is "subject" or [x, y]. Rejects with a Problem that says what is wrong. */
export async function readSettings(file, fields) {
  const wrong = (why) => new Problem(NO_REQUEST, `${file.name}: ${why}`);
  let given;
  try {
    given = JSON.parse(await file.text());
  } catch {
    throw wrong("this is no settings file; choose one that “Save settings” has written.");
  }
  given = given?.settings ?? given;
  if (given === null || typeof given !== "object" || Array.isArray(given)) throw wrong("it holds no settings.");
  const values = {};
  for (const [name, value] of Object.entries(given)) {
    const field = fields.find((each) => each.name === name);
    if (!field) throw wrong(`there is no setting “${name}”.`);
    values[name] = name === "focus" ? point(value) : value;
    if (!fits(values[name], field)) throw wrong(`${name} is ${JSON.stringify(value)}, expected ${expectation(field)}.`);
  }
  return values;
}

/** The page focuses on faces by their frames, so a focus on them is one on the subject here: on its eye, where it has one. */
function point(value) {
  if (["face", "faces"].includes(value)) return "subject";
  const parts = String(value).split(",").map(Number);
  return value === "subject" || parts.length !== 2 ? value : parts;
}

function fits(value, { name, low, high, choices }) {
  if (name === "focus") return value === "subject" || (Array.isArray(value) && value.every((part) => part >= 0 && part <= 1));
  if (low !== null) return typeof value === "number" && value >= low && value <= high;
  return typeof value === "string" && (!choices.length || choices.includes(value));
}

function expectation({ name, low, high, choices }) {
  if (name === "focus") return "“subject” or X,Y with both from 0 to 1";
  if (low !== null) return `a number from ${low} to ${high}`;
  return choices.length ? `one of ${choices.join(", ")}` : "the name of a shape";
}
