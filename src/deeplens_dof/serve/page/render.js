// When which picture is asked for: quick previews while a hand moves, one at a time and always the newest; the full
// picture once it rests. What nobody waits for any more is called off.

import { call, pause, Problem } from "./api.js";

const REST_MS = 220;
const QUICK_LENS_POINTS = 32;

export class Renderer {
  /**
   * query(photo): the settings in the address. show(photo, blob, facts): a picture has come.
   * progress(share): of the full picture; null for none at work, undefined for an unknown share.
   */
  constructor({ query, show, progress, failed, lost }) {
    Object.assign(this, { query, show, progress, failed, lost });
    this.wanted = null;
    this.pumping = false;
    this.full = null;
    this.timer = 0;
  }

  /** A preview now; final: and the full picture when no other change comes. */
  refresh(photo, final) {
    this.cancel();
    this.wanted = photo;
    if (!this.pumping) this.pump();
    if (final) this.timer = setTimeout(() => this.finish(photo), REST_MS);
  }

  /** Calls off the full picture that is being made or waited for. */
  cancel() {
    clearTimeout(this.timer);
    this.full?.abort();
    this.full = null;
  }

  async pump() {
    this.pumping = true;
    while (this.wanted) {
      const photo = this.wanted;
      this.wanted = null;
      try {
        await this.draw(photo, "preview", `&lens_points=${QUICK_LENS_POINTS}`);
      } catch (problem) {
        await this.recover(photo, problem, () => this.refresh(photo, true));
      }
    }
    this.pumping = false;
  }

  async finish(photo) {
    while (this.pumping) await pause(20);
    const controller = (this.full = new AbortController());
    this.progress(undefined);
    try {
      await this.draw(photo, "full", "", controller.signal, this.progress);
    } catch (problem) {
      if (problem.name !== "AbortError") await this.recover(photo, problem, () => this.finish(photo));
    } finally {
      if (this.full === controller || this.full === null) this.progress(null);
    }
  }

  async draw(photo, size, more, signal, progress) {
    const path = `v1/photos/${photo.id}/blur?${this.query(photo)}&size=${size}${more}`;
    const answer = await call(path, { signal, progress });
    const blob = await answer.blob();
    const depth = Number(answer.headers.get("deeplens-focus-depth"));
    const point = (answer.headers.get("deeplens-focus") || "").split(",").map(Number);
    if (!signal?.aborted) await this.show(photo, blob, { size, depth, point });
  }

  /** Waits where the service is busy, sends the photo again where it was forgotten, else says what is wrong. */
  async recover(photo, problem, again) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.status === 429 || (problem.status === 503 && problem.retryAfterS)) {
      this.failed(new Problem(problem.status, `The service is busy; trying again in ${Math.max(1, problem.retryAfterS)} s.`), null);
      await pause(1000 * Math.max(1, problem.retryAfterS));
      again();
    } else if (problem.status === 404) this.lost(photo, again);
    else this.failed(problem, again);
  }
}
