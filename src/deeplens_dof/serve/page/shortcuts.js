// The keys of the page. The help dialog in index.html lists them for people.

/**
 * key: KeyboardEvent.key, letters in lower case, after "Ctrl+" (also Cmd) and "Ctrl+Shift+".
 * action: the name of a function in `actions`, called with `given` and whether Shift is held.
 * photo: only while a photo is on stage. on: only while the element with this id has the keyboard. held: the action is called
 * with true when the key goes down, and with false when it comes up.
 */
export const SHORTCUTS = [
  { key: "o", action: "openFiles" },
  { key: "?", action: "showHelp" },
  { key: "s", action: "focusOnSubject", photo: true },
  { key: "ArrowLeft", action: "moveFocus", given: [-1, 0], photo: true, on: "view" },
  { key: "ArrowRight", action: "moveFocus", given: [1, 0], photo: true, on: "view" },
  { key: "ArrowUp", action: "moveFocus", given: [0, -1], photo: true, on: "view" },
  { key: "ArrowDown", action: "moveFocus", given: [0, 1], photo: true, on: "view" },
  { key: "[", action: "stepAperture", given: -1, photo: true },
  { key: "]", action: "stepAperture", given: 1, photo: true },
  { key: "b", action: "toggleComparing", photo: true },
  { key: "\\", action: "holdBefore", photo: true, held: true },
  { key: "d", action: "toggleOverlay", given: "depth", photo: true },
  { key: "f", action: "toggleOverlay", given: "focus", photo: true },
  { key: "z", action: "toggleZoom", photo: true },
  { key: "Ctrl+z", action: "undo", photo: true },
  { key: "Ctrl+Shift+z", action: "redo", photo: true },
];

const TEXT_FIELDS = "input:not([type=range], [type=radio], [type=checkbox]), select";

/** Calls an action for each shortcut pressed. hasPhoto(): whether a photo is on stage. */
export function listenToKeys(actions, hasPhoto) {
  addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || event.target.matches(TEXT_FIELDS)) return;
    const pressed = nameOf(event);
    const shortcut = SHORTCUTS.find(({ key, on }) => key === pressed && (!on || event.target.id === on));
    if (!shortcut || (shortcut.photo && !hasPhoto())) return;
    event.preventDefault();
    actions[shortcut.action](shortcut.held ? true : shortcut.given, event.shiftKey);
  });
  addEventListener("keyup", (event) => {
    const shortcut = SHORTCUTS.find(({ key, held }) => held && key === event.key);
    if (shortcut) actions[shortcut.action](false);
  });
}

function nameOf(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (!event.ctrlKey && !event.metaKey) return key;
  return `Ctrl+${event.shiftKey ? "Shift+" : ""}${key}`;
}
