// A labelled slider: moves in steps or in stops, says its value in words, and goes back to its default by a double-click.

/**
 * Draws a slider into an element.
 * stops: the values it takes; without them min, max and step. text(value): for people. marks: values written below it.
 * moved(value, final): called after a change; final is false while dragging. reset(): called for its default.
 * Returns show(value).
 */
export function slider(control, { id, label, text, stops, min, max, step, marks, moved, reset }) {
  const range = element("input", { type: "range", id });
  Object.assign(range, stops ? { min: 0, max: stops.length - 1, step: 1 } : { min, max, step });
  const output = element("output", { htmlFor: id });
  control.append(element("label", { htmlFor: id, textContent: label }), output, range);
  if (marks) control.append(ticks(marks, stops));
  const read = () => (stops ? stops[range.value] : Number(range.value));
  range.addEventListener("input", () => moved(read(), false));
  range.addEventListener("change", () => moved(read(), true));
  control.addEventListener("dblclick", reset);
  range.addEventListener("keydown", (event) => {
    if (event.key !== "Delete" && event.key !== "Backspace") return;
    event.preventDefault();
    reset();
  });
  return (value) => {
    range.value = stops ? nearest(stops, value) : value;
    output.textContent = text(value);
    range.setAttribute("aria-valuetext", text(value).replace("ƒ", "f"));
    fill(range);
  };
}

/** Colours the part of a slider below its value. */
export function fill(range) {
  range.style.setProperty("--fill", `${(100 * (range.value - range.min)) / (range.max - range.min)}%`);
}

/** The index of the stop nearest to a value, by ratio. */
export function nearest(stops, value) {
  return stops.reduce((best, stop, i) => (Math.abs(Math.log(stop / value)) < Math.abs(Math.log(stops[best] / value)) ? i : best), 0);
}

export const percent = (value) => `${Math.round(100 * value)} %`;

export function element(name, properties) {
  return Object.assign(document.createElement(name), properties);
}

function ticks(values, stops) {
  const scale = element("div", { className: "ticks" });
  scale.setAttribute("aria-hidden", "true");
  for (const value of values.filter((value) => stops.includes(value))) {
    const mark = element("span", { textContent: value });
    mark.style.left = `${(100 * stops.indexOf(value)) / (stops.length - 1)}%`;
    scale.append(mark);
  }
  return scale;
}
