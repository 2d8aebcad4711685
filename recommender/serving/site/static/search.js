// Search as you type, in an overlay. The form on the page also works without this script.

import { pageAt } from "./refresh.js";

const PAUSE_MS = 90; // between two letters of a fast typist

/** Open the overlay from the search field at the top of the page, or with Ctrl+K or ⌘K. */
export function searchWhileTyping() {
  const field = document.querySelector("#q");
  const overlay = document.querySelector(".overlay");
  if (!field || !overlay?.showModal) {
    return;
  }
  const search = new SearchOverlay(overlay);
  const open = () => search.open(field.value);
  overlay.addEventListener("close", () => (field.value = search.field.value));
  field.addEventListener("click", open);
  field.addEventListener("input", open);
  document.addEventListener("keydown", (event) => {
    // A single key would interfere with voice control.
    if (event.key === "k" && (event.metaKey || event.ctrlKey) && !overlay.open) {
      event.preventDefault();
      open();
    }
  });
}

/** The overlay with the search field, the results and a status line. */
class SearchOverlay {
  constructor(overlay) {
    this.overlay = overlay;
    this.field = overlay.querySelector("input");
    this.results = overlay.querySelector(".results");
    this.status = overlay.querySelector(".status");
    this.request = null;
    this.timer = 0;
    this.field.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.search(), PAUSE_MS);
    });
    overlay.querySelector(".close").addEventListener("click", () => overlay.close());
    overlay.addEventListener("click", (event) => event.target === overlay && overlay.close());
    overlay.addEventListener("keydown", (event) => this.moveFocus(event));
  }

  open(words) {
    if (!this.overlay.open) {
      this.overlay.showModal();
    }
    this.field.value = words;
    this.field.focus();
    this.field.setSelectionRange(this.field.value.length, this.field.value.length);
    this.search();
  }

  async search() {
    const words = this.field.value.trim();
    this.request?.abort();
    if (!words) {
      this.show("Type a name, a place or a few words. Stories appear as you type.");
      return;
    }
    this.request = new AbortController();
    const url = new URL(this.field.form.action);
    url.searchParams.set("q", words);
    try {
      const page = await pageAt(url, this.request.signal);
      if (page) {
        const corrected = page.querySelector("#corrected a")?.textContent;
        const count = page.querySelector("#count")?.textContent ?? "";
        this.show(corrected ? `Results for “${corrected}”. ${count}` : count, page.querySelector("#results"));
      } else {
        this.show("The search is not available. Try again later.");
      }
    } catch {
      // Aborted, because the reader typed another letter.
    }
  }

  show(status, results = null) {
    this.status.textContent = status;
    if (results) {
      results.removeAttribute("id");
      this.results.replaceChildren(results);
    } else {
      this.results.replaceChildren();
    }
    this.overlay.scrollTop = 0;
    document.dispatchEvent(new Event("refreshed"));
  }

  /** Move through the results with the arrow keys; close on Escape, which otherwise only clears the field. */
  moveFocus(event) {
    if (event.key === "Escape") {
      event.preventDefault();
      this.overlay.close();
      return;
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) {
      return;
    }
    const targets = [this.field, ...this.results.querySelectorAll(".card-title a")];
    const index = targets.indexOf(document.activeElement);
    const next = targets[index + step];
    if (index >= 0 && next) {
      event.preventDefault();
      next.focus();
    }
  }
}
