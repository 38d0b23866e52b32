// The film strip: a thumbnail button for each photo, shown from the second photo on.

import { element } from "./slider.js";

const WIDTH = 124, HEIGHT = 92; // px of a thumbnail, two per CSS px

/** Draws the strip into an element. choose(photo): called when one is clicked. */
export function drawFilm(film, photos, current, choose) {
  film.hidden = photos.length < 2;
  film.replaceChildren(...photos.map((photo) => {
    const button = element("button", { type: "button", title: photo.name, onclick: () => choose(photo) });
    button.setAttribute("aria-label", photo.name);
    button.setAttribute("aria-current", photo === current);
    if (photo.thumbnail) button.append(element("img", { src: photo.thumbnail, alt: "" }));
    return button;
  }));
}

/** The middle of an image as a data URL; "" for an image that is not loaded. */
export function thumbnail(image) {
  const { naturalWidth: width, naturalHeight: height } = image;
  if (!width) return "";
  const canvas = element("canvas", { width: WIDTH, height: HEIGHT });
  const scale = Math.max(WIDTH / width, HEIGHT / height);
  canvas.getContext("2d").drawImage(image, (WIDTH - width * scale) / 2, (HEIGHT - height * scale) / 2, width * scale, height * scale);
  return canvas.toDataURL("image/jpeg", 0.8);
}
