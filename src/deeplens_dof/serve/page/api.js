// Calls of the HTTP API. Every response that is not a success becomes a Problem with a sentence for people.

export class Problem extends Error {
  constructor(status, detail, retryAfterS = 0) {
    super(detail);
    this.status = status; // 0: no response
    this.retryAfterS = retryAfterS;
  }

  /** Whether the same request may succeed later. */
  get busy() {
    return this.status === 429 || (this.status === 503 && this.retryAfterS > 0);
  }
}

const STORAGE = "deeplens-token";
let askForToken = async () => null;

/** ask(): resolves to the token that a person enters, or null. */
export function onTokenNeeded(ask) {
  askForToken = ask;
}

/** Fetches a path. progress(share): called as the body arrives, if its length is known. Rejects with a Problem. */
export async function call(path, { method = "GET", body, headers = {}, signal, progress } = {}) {
  const token = sessionStorage.getItem(STORAGE);
  const sent = token ? { ...headers, Authorization: `Bearer ${token}` } : headers;
  let response;
  try {
    response = await fetch(path, { method, body, headers: sent, signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "DeepLens does not answer. Is “deeplens serve” still running?");
  }
  if (response.status === 401) {
    const typed = await askForToken();
    if (typed) {
      sessionStorage.setItem(STORAGE, typed);
      return call(path, { method, body, headers, signal, progress });
    }
  }
  if (!response.ok) throw await problemOf(response);
  if (!progress || !response.body) return response;
  return new Response(watched(response, progress), response);
}

export const json = async (path, options) => (await call(path, options)).json();

function watched(response, progress) {
  const total = Number(response.headers.get("content-length"));
  let received = 0;
  return response.body.pipeThrough(
    new TransformStream({
      transform(part, controller) {
        received += part.byteLength;
        if (total) progress(received / total);
        controller.enqueue(part);
      },
    }),
  );
}

async function problemOf(response) {
  const body = await response.json().catch(() => ({}));
  const sentence = String(body.detail || response.statusText || "The request failed.");
  const retry = Number(response.headers.get("retry-after")) || 0;
  return new Problem(response.status, sentence[0].toUpperCase() + sentence.slice(1), retry);
}

/** Resolves once the service is ready. waiting(problem): called after each attempt until then. */
export async function ready(waiting) {
  for (;;) {
    try {
      await call("readyz");
      return;
    } catch (problem) {
      waiting(problem);
      await pause(1500);
    }
  }
}

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));
