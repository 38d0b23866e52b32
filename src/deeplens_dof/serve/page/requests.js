// The requests about a photo, one function each. All reject with a Problem.

import { call, json, pause } from "./api.js";
import { readDepth, writeDepth } from "./depth.js";

const MOST_TRIES = 20;

/** Sends a photo and takes over its description. waiting(): called each time the service is too busy. */
export async function upload(photo, waiting) {
  const body = new FormData();
  body.append("file", photo.file, photo.name);
  for (let tries = 0; ; tries++) {
    try {
      photo.describe(await json("v1/photos", { method: "POST", body }));
      return;
    } catch (problem) {
      if (!problem.busy || tries > MOST_TRIES) throw problem;
      waiting();
      await pause(1000 * Math.max(1, problem.retryAfterS));
    }
  }
}

/** Has the service describe a photo that it was sent earlier. Returns whether it still holds it. */
export async function describe(photo) {
  try {
    photo.describe(await json(`v1/photos/${photo.id}`));
    return true;
  } catch (problem) {
    if (problem.status === 404) return false;
    throw problem;
  }
}

/** The refocused picture as a Response. query: settings, size and format. */
export const blurred = (photo, query, options) => call(`v1/photos/${photo.id}/blur?${query}`, options);

/** The overlay of the parts in focus, as a Blob. */
export const focusOverlay = async (photo, query) => (await call(`v1/photos/${photo.id}/overlay?${query}`)).blob();

/** The uploaded photo, as a Blob. size: "preview" or "full". */
export const original = async (photo, size) => (await call(`v1/photos/${photo.id}/original?size=${size}`)).blob();

/** The depth at full size, as a Blob. */
export const depthFile = async (photo) => (await call(`v1/photos/${photo.id}/depth`)).blob();

/** The depth at the preview's size, as a DepthMap. */
export const depthMap = async (photo) => readDepth(await (await call(`v1/photos/${photo.id}/depth?size=preview`)).arrayBuffer());

/** Sends the photo's map as its repaired depth. */
export async function replaceDepth(photo) {
  const body = await writeDepth(photo.map);
  await call(`v1/photos/${photo.id}/depth`, { method: "PUT", body, headers: { "Content-Type": "image/png" } });
}
