// Updates the lists of the page without reloading it.

const RETRY_SECONDS = 60; // after an error
const IDLE_SECONDS = 4; // without input in the lists before they change; a resting pointer does not count

/** Reload the lists after each update of trending, while the page is visible. */
export function keepTrendingFresh() {
  if (!document.querySelector("[data-refresh=trending]")) {
    return;
  }
  let timer = 0;
  let lastInputAt = -Infinity;
  for (const kind of ["pointermove", "pointerdown", "keydown", "focusin"]) {
    document.addEventListener(kind, (event) => {
      if (event.target.closest?.("[data-refresh]")) {
        lastInputAt = performance.now();
      }
    });
  }
  const wait = (seconds) => {
    clearTimeout(timer);
    timer = setTimeout(update, 1000 * seconds);
  };
  const update = async () => {
    if (document.hidden) {
      return; // visibilitychange calls this again
    }
    const remaining = IDLE_SECONDS - (performance.now() - lastInputAt) / 1000;
    if (remaining > 0) {
      wait(remaining);
      return;
    }
    wait((await refresh()) ? secondsLeft() : RETRY_SECONDS);
  };
  document.addEventListener("visibilitychange", () => document.hidden || update());
  wait(secondsLeft());
}

/** Replace the lists of the page with their current state; returns false if the request fails. */
export async function refresh() {
  const page = await pageAt(location.href);
  if (!page) {
    return false;
  }
  const focus = focused();
  for (const old of document.querySelectorAll("[data-refresh]")) {
    const fresh = page.querySelector(`[data-refresh="${old.dataset.refresh}"]`);
    if (fresh && contents(fresh) === contents(old)) {
      old.dataset.seconds = fresh.dataset.seconds ?? "";
    } else if (fresh) {
      replace(old, fresh);
    }
  }
  document.dispatchEvent(new Event("refreshed"));
  refocus(focus);
  return true;
}

/** The page at a URL as a document without running scripts, or null if the request fails. */
export async function pageAt(url, signal) {
  try {
    const response = await fetch(url, { signal, headers: { Accept: "text/html" } });
    return response.ok ? new DOMParser().parseFromString(await response.text(), "text/html") : null;
  } catch (error) {
    if (error.name === "AbortError") {
      throw error;
    }
    return null;
  }
}

function secondsLeft() {
  const seconds = Number(document.querySelector("[data-refresh=trending]")?.dataset.seconds);
  return (seconds || RETRY_SECONDS) + 1 + Math.random(); // spreads the requests of all readers
}

/** Replace a list; items that were in the old list move to their new positions. */
function replace(old, fresh) {
  const before = positions(old);
  old.replaceWith(fresh);
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
    return;
  }
  for (const [id, [item, top]] of positions(fresh)) {
    const previous = before.get(id);
    if (!previous) {
      item.animate({ opacity: [0, 1] }, { duration: 600, easing: "ease-out" });
    } else if (previous[1] !== top) {
      const start = `translateY(${previous[1] - top}px)`;
      item.animate({ transform: [start, "none"] }, { duration: 600, easing: "ease-out" });
    }
  }
}

/** The ids and text of a list as the server sent it, for comparison. */
function contents(list) {
  const copy = list.cloneNode(true);
  copy.querySelectorAll(".edit").forEach((edit) => edit.remove());
  const ids = [...copy.querySelectorAll("[data-id]")].map((item) => item.dataset.id);
  return JSON.stringify([ids, copy.textContent.replace(/\s+/g, " ")]);
}

/** The position of the focus: the list, the story and the text of the focused element. */
function focused() {
  const active = document.activeElement;
  const list = active?.closest("[data-refresh]");
  return list && { list: list.dataset.refresh, id: active.closest("[data-id]")?.dataset.id, text: active.textContent };
}

/** Restore the focus if its element was replaced: on the same story, or at the start of the list. */
function refocus(focus) {
  if (!focus || document.activeElement !== document.body) {
    return;
  }
  const targets = [...document.querySelectorAll(`[data-refresh="${focus.list}"] :is(a, button, summary)`)];
  const same = (target) => target.closest("[data-id]")?.dataset.id === focus.id && target.textContent === focus.text;
  (targets.find(same) ?? targets[0])?.focus({ preventScroll: true });
}

function positions(list) {
  const items = [...list.querySelectorAll("[data-id]")];
  return new Map(items.map((item) => [item.dataset.id, [item, item.offsetTop]]));
}
