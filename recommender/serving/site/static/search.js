// A search that answers while the reader types, over the page; the form behind it does without.

import { pageAt } from "./fresh.js";

const PAUSE_MS = 90; // between two letters of a fast typist

/** Open the overlay from the field of the masthead, or with Ctrl+K or ⌘K. */
export function searchWhileTyping() {
  const field = document.querySelector("#q");
  const overlay = document.querySelector(".overlay");
  if (!field || !overlay?.showModal) {
    return;
  }
  const found = new Found(overlay);
  const open = () => found.open(field.value);
  overlay.addEventListener("close", () => (field.value = found.field.value));
  field.addEventListener("click", open);
  field.addEventListener("input", open);
  document.addEventListener("keydown", (event) => {
    // A key alone would get in the way of who speaks to the browser.
    if (event.key === "k" && (event.metaKey || event.ctrlKey) && !overlay.open) {
      event.preventDefault();
      open();
    }
  });
}

/** The overlay: its field, what was found, and what is told of it. */
class Found {
  constructor(overlay) {
    this.overlay = overlay;
    this.field = overlay.querySelector("input");
    this.list = overlay.querySelector(".found");
    this.told = overlay.querySelector(".told");
    this.asked = null;
    this.timer = 0;
    this.field.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.ask(), PAUSE_MS);
    });
    overlay.querySelector(".close").addEventListener("click", () => overlay.close());
    overlay.addEventListener("click", (event) => event.target === overlay && overlay.close());
    overlay.addEventListener("keydown", (event) => this.walk(event));
  }

  open(words) {
    if (!this.overlay.open) {
      this.overlay.showModal();
    }
    this.field.value = words;
    this.field.focus();
    this.field.setSelectionRange(this.field.value.length, this.field.value.length);
    this.ask();
  }

  async ask() {
    const words = this.field.value.trim();
    this.asked?.abort();
    if (!words) {
      this.show("A name, a place, a few words: stories appear as you type.");
      return;
    }
    this.asked = new AbortController();
    const address = new URL(this.field.form.action);
    address.searchParams.set("q", words);
    try {
      const page = await pageAt(address, this.asked.signal);
      if (page) {
        this.show(page.querySelector("#count")?.textContent ?? "", page.querySelector("#results"));
      } else {
        this.show("The search does not answer just now.");
      }
    } catch {
      // Another letter was typed meanwhile.
    }
  }

  show(told, results = null) {
    this.told.textContent = told;
    if (results) {
      results.removeAttribute("id");
      this.list.replaceChildren(results);
    } else {
      this.list.replaceChildren();
    }
    this.overlay.scrollTop = 0;
    document.dispatchEvent(new Event("refreshed"));
  }

  /** Go through what was found with the arrow keys, and away with Escape, which would empty the field first. */
  walk(event) {
    if (event.key === "Escape") {
      event.preventDefault();
      this.overlay.close();
      return;
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) {
      return;
    }
    const stops = [this.field, ...this.list.querySelectorAll(".card-title a")];
    const at = stops.indexOf(document.activeElement);
    const next = stops[at + step];
    if (at >= 0 && next) {
      event.preventDefault();
      next.focus();
    }
  }
}
