// The settings of a photo as a command line, as Python and as JSON, and the names of saved files.

/** The settings that differ from the defaults, as [name, value]. */
function changes(values, defaults) {
  return Object.entries(values).filter(([name, value]) => String(value) !== String(defaults[name]));
}

const stem = (name) => name.replace(/\.[^.]*$/, "") || "photo";
export const bokehName = (name, format) => `${stem(name)}-bokeh.${format === "png" ? "png" : "jpg"}`;
export const depthName = (name) => `${stem(name)}-depth.png`;
export const settingsName = (name) => `${stem(name)}-settings.json`;

/** focus: "subject" or [x, y]. */
export const focusText = (focus) => (focus === "subject" ? focus : focus.map((part) => Number(part.toFixed(4))).join(","));

export function asCommand(photo, values, defaults, format, quality) {
  const options = changes({ ...values, focus: focusText(photo.focus) }, defaults).map(([name, value]) => `--${name.replaceAll("_", "-")} ${value}`);
  if (photo.isRepaired) options.push(`--depth ${quoted(depthName(photo.name))}`);
  if (quality) options.push(`--quality ${quality}`);
  return ["deeplens blur", quoted(photo.name), "-o", quoted(bokehName(photo.name, format)), ...options].join(" ");
}

export function asPython(photo, values, defaults, format, quality) {
  const literal = (value) => (typeof value === "number" ? String(value) : JSON.stringify(value));
  const given = changes(values, defaults).filter(([name]) => name !== "focus").map(([name, value]) => `${name}=${literal(value)}`);
  if (photo.focus !== "subject") given.unshift(`focus=(${focusText(photo.focus).replace(",", ", ")})`);
  if (photo.isRepaired) given.push(`depth=${JSON.stringify(depthName(photo.name))}`);
  const call = [JSON.stringify(photo.name), ...given].join(", ");
  return `import deeplens_dof as dl\n\ndl.blur(${call}).save(${[JSON.stringify(bokehName(photo.name, format)), ...(quality ? [`quality=${quality}`] : [])].join(", ")})\n`;
}

export function asJson(photo, values) {
  return `${JSON.stringify({ ...values, focus: focusText(photo.focus) }, null, 1)}\n`;
}

function quoted(name) {
  return /^[\w./,-]+$/.test(name) && !name.startsWith("-") ? name : `'${(name.startsWith("-") ? "./" : "") + name.replaceAll("'", "'\\''")}'`;
}
