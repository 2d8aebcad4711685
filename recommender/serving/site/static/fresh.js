// Brings the lists of the page up to date without loading it anew.

const LATER_SECONDS = 60; // after something went wrong
const CALM_SECONDS = 4; // since a reader last moved within what would change; a pointer that rests there may stay

/** Ask for the page again whenever trending has been ranked anew, for as long as somebody looks. */
export function keepTrendingFresh() {
  if (!document.querySelector("[data-refresh=trending]")) {
    return;
  }
  let timer = 0;
  let busyAt = -Infinity;
  for (const kind of ["pointermove", "pointerdown", "keydown", "focusin"]) {
    document.addEventListener(kind, (event) => {
      if (event.target.closest?.("[data-refresh]")) {
        busyAt = performance.now();
      }
    });
  }
  const wait = (seconds) => {
    clearTimeout(timer);
    timer = setTimeout(look, 1000 * seconds);
  };
  const look = async () => {
    if (document.hidden) {
      return; // until it is seen again
    }
    const calm = CALM_SECONDS - (performance.now() - busyAt) / 1000;
    if (calm > 0) {
      wait(calm);
      return;
    }
    wait((await refresh()) ? secondsLeft() : LATER_SECONDS);
  };
  document.addEventListener("visibilitychange", () => document.hidden || look());
  wait(secondsLeft());
}

/** Put the lists of the page as the service has it now in place of those shown; false if that fails. */
export async function refresh() {
  const page = await pageAt(location.href);
  if (!page) {
    return false;
  }
  const focus = focused();
  for (const old of document.querySelectorAll("[data-refresh]")) {
    const fresh = page.querySelector(`[data-refresh="${old.dataset.refresh}"]`);
    if (fresh && told(fresh) === told(old)) {
      old.dataset.seconds = fresh.dataset.seconds ?? "";
    } else if (fresh) {
      replace(old, fresh);
    }
  }
  document.dispatchEvent(new Event("refreshed"));
  refocus(focus);
  return true;
}

/** The page at an address as a document that runs nothing, or null. */
export async function pageAt(address, signal) {
  try {
    const answer = await fetch(address, { signal, headers: { Accept: "text/html" } });
    return answer.ok ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
  } catch (error) {
    if (error.name === "AbortError") {
      throw error;
    }
    return null;
  }
}

function secondsLeft() {
  const seconds = Number(document.querySelector("[data-refresh=trending]")?.dataset.seconds);
  return (seconds || LATER_SECONDS) + 1 + Math.random(); // not all readers in the same second
}

/** Show the fresh list; what was in the old one, too, glides to its new place. */
function replace(old, fresh) {
  const before = places(old);
  old.replaceWith(fresh);
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
    return;
  }
  for (const [id, [item, top]] of places(fresh)) {
    const was = before.get(id);
    if (!was) {
      item.animate({ opacity: [0, 1] }, { duration: 600, easing: "ease-out" });
    } else if (was[1] !== top) {
      item.animate({ transform: [`translateY(${was[1] - top}px)`, "none"] }, { duration: 600, easing: "ease-out" });
    }
  }
}

/** What a list says, but for what scripts have put there. */
function told(list) {
  const copy = list.cloneNode(true);
  copy.querySelectorAll(".edit").forEach((each) => each.remove());
  const ids = [...copy.querySelectorAll("[data-id]")].map((item) => item.dataset.id);
  return JSON.stringify([ids, copy.textContent.replace(/\s+/g, " ")]);
}

/** Where the focus is in the lists: of which list, beside which story, on what. */
function focused() {
  const active = document.activeElement;
  const list = active?.closest("[data-refresh]");
  return list && { list: list.dataset.refresh, id: active.closest("[data-id]")?.dataset.id, text: active.textContent };
}

/** Put the focus back if its place was replaced: beside the same story, or else where the list begins. */
function refocus(focus) {
  if (!focus || document.activeElement !== document.body) {
    return;
  }
  const stops = [...document.querySelectorAll(`[data-refresh="${focus.list}"] :is(a, button, summary)`)];
  const same = (stop) => stop.closest("[data-id]")?.dataset.id === focus.id && stop.textContent === focus.text;
  (stops.find(same) ?? stops[0])?.focus({ preventScroll: true });
}

function places(list) {
  const items = [...list.querySelectorAll("[data-id]")];
  return new Map(items.map((item) => [item.dataset.id, [item, item.offsetTop]]));
}
