// What a reload keeps: the settings, and the photos that the service still holds. Kept for this tab alone, and for no longer
// than the tab; of the photos only their ids, names and focus.

import { StoredPhoto } from "./session.js";
import { describe } from "./requests.js";

const KEY = "deeplens-session";

export function remember(session) {
  const photos = session.photos.map(({ id, name, focus }) => ({ id, name, focus }));
  const stage = session.photos.indexOf(session.photo);
  sessionStorage.setItem(KEY, JSON.stringify({ settings: session.settings, photos, stage }));
}

/** What was remembered: { settings, photos, stage }. Photos that the service has deleted are left out, and counted as `lost`. */
export async function recall(session) {
  const { settings = {}, photos = [], stage = 0 } = JSON.parse(sessionStorage.getItem(KEY) ?? "{}");
  const known = Object.entries(settings).filter(([name]) => name in session.defaults);
  const found = [];
  let onStage = null;
  for (const [i, { id, name, focus }] of photos.entries()) {
    const photo = Object.assign(new StoredPhoto(null, name), { id, focus });
    if (!(await describe(photo))) continue;
    found.push(photo);
    if (i === stage) onStage = photo;
  }
  return { settings: Object.fromEntries(known), photos: found, onStage: onStage ?? found[0], lost: photos.length - found.length };
}
