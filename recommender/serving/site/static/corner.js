// The editors' corner: pins and blocks stories with the public rules API.

import { refresh } from "./refresh.js";

const STORAGE_KEY = "recommender-demo-key"; // in sessionStorage, so until the tab is closed
const WORKERS_MS = 1000; // until all workers of the service have loaded a new rule
const STATUS_MS = 6000; // how long a status message is shown
const LISTS = ":is([data-list=related], [data-list=trending], [data-list=search])";

/** Show the corner on the page of a story. */
export function openCorner() {
  const section = document.querySelector(".corner");
  const story = document.querySelector("[data-story]");
  if (section && story) {
    section.hidden = false;
    new Corner(section, story).begin();
  }
}

class Corner {
  constructor(section, story) {
    this.section = section;
    this.story = story;
    this.form = section.querySelector(".corner-key");
    this.panel = section.querySelector(".panel");
    this.list = section.querySelector(".rules");
    this.status = section.querySelector(".status");
    this.reason = section.querySelector("#reason");
    this.key = sessionStorage.getItem(STORAGE_KEY);
  }

  begin() {
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.enter(this.form.elements.key.value.trim());
    });
    this.section.querySelector(".leave").addEventListener("click", () => this.leave("Key removed."));
    document.addEventListener("refreshed", () => this.addButtons());
    if (this.key) {
      this.enter(this.key);
    }
  }

  async enter(key) {
    this.key = key;
    const rules = await this.call("GET", "");
    if (rules) {
      sessionStorage.setItem(STORAGE_KEY, key);
      this.form.reset();
      this.form.hidden = true;
      this.panel.hidden = false;
      this.showStatus("");
      await this.showRules(rules);
      this.addButtons();
    }
  }

  leave(status) {
    this.key = null;
    sessionStorage.removeItem(STORAGE_KEY);
    this.form.hidden = false;
    this.panel.hidden = true;
    document.querySelectorAll(".edit").forEach((edit) => edit.remove());
    this.showStatus(status);
  }

  /** Add the two buttons to each story of the lists. */
  addButtons() {
    if (this.panel.hidden) {
      return;
    }
    for (const item of document.querySelectorAll(`${LISTS} [data-id]`)) {
      if (!item.querySelector(".edit") && item.dataset.id !== this.story.dataset.story) {
        const edit = document.createElement("div");
        edit.className = "edit";
        edit.append(this.button("Pin", "pin", item), this.button("Block", "block", item));
        item.append(edit);
      }
    }
  }

  button(name, kind, item) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.setAttribute("aria-label", `${name}: ${headlineOf(item)}`);
    button.addEventListener("click", () => this.put(kind, item));
    return button;
  }

  async put(kind, item) {
    const headline = headlineOf(item);
    const rule = {
      kind,
      articles: [item.dataset.id],
      reason: this.reason.value.trim() || "Testing in the demo",
      author: "Editors’ corner",
    };
    const place = this.section.querySelector("[name=place]:checked").value;
    if (place === "article") {
      rule.for_article = this.story.dataset.story;
    } else if (place === "section") {
      rule.for_section = this.story.dataset.section;
    }
    item.closest("dialog")?.close(); // the result is visible on the page
    const done = await this.call("PUT", `/corner-${crypto.randomUUID?.() ?? Date.now()}`, rule);
    if (done) {
      this.showStatus(`${kind === "pin" ? "Pinned" : "Blocked"}: ${headline}`);
      await this.update();
    }
  }

  async undo(rule) {
    if (await this.call("DELETE", `/${encodeURIComponent(rule.id)}`)) {
      this.showStatus("Rule removed.");
      await this.update();
    }
  }

  /** Show the rules and the lists after a change. */
  async update() {
    const rules = await this.call("GET", "");
    if (rules) {
      await this.showRules(rules);
    }
    await refresh();
    setTimeout(refresh, WORKERS_MS);
  }

  async showRules({ rules, file_rules: fileRules }) {
    const all = [...rules.map((rule) => [rule, true]), ...fileRules.map((rule) => [rule, false])];
    const active = all.filter(([rule]) => this.appliesHere(rule));
    const lines = await Promise.all(active.map(([rule, isRemovable]) => this.line(rule, isRemovable)));
    this.list.replaceChildren(...lines);
    if (!lines.length) {
      const none = document.createElement("li");
      none.textContent = "None yet.";
      this.list.append(none);
    }
  }

  appliesHere(rule) {
    const isExpired = rule.until && Date.parse(rule.until) <= Date.now();
    const { story, section } = this.story.dataset;
    const category = rule.for_category ?? rule.for_section; // for_section is its former name
    const isHere = rule.for_article ? rule.for_article === story : !category || category === section;
    return isHere && !isExpired && Array.isArray(rule.articles);
  }

  async line(rule, isRemovable) {
    const names = await Promise.all(rule.articles.slice(0, 3).map((id) => this.headline(id)));
    const more = rule.articles.length > 3 ? ` and ${rule.articles.length - 3} more` : "";
    const line = document.createElement("li");
    const kind = document.createElement("b");
    kind.textContent = rule.kind;
    line.append(kind, ` ${names.join("; ")}${more} `);
    const reason = document.createElement("span");
    reason.textContent = `${rule.reason} (${rule.author})`;
    line.append(reason);
    if (isRemovable) {
      const undo = document.createElement("button");
      undo.type = "button";
      undo.className = "plain";
      undo.textContent = "Undo";
      undo.setAttribute("aria-label", `Undo: ${rule.kind} ${names.join("; ")}`);
      undo.addEventListener("click", () => this.undo(rule));
      line.append(" ", undo);
    }
    return line;
  }

  async headline(id) {
    const shown = [...document.querySelectorAll("[data-list] [data-id]")].find((item) => item.dataset.id === id);
    if (shown) {
      return headlineOf(shown);
    }
    try {
      const response = await fetch(`${document.body.dataset.article}?id=${encodeURIComponent(id)}`);
      return response.ok ? (await response.json()).title || id : id;
    } catch {
      return id;
    }
  }

  /** Send a request to the rules API. Returns the JSON, or null after showing the error. */
  async call(method, path, body) {
    const headers = { Authorization: `Bearer ${this.key}` };
    if (body) {
      headers["Content-Type"] = "application/json";
    }
    let response;
    try {
      response = await fetch(document.body.dataset.rules + path, {
        method,
        headers,
        body: body && JSON.stringify(body),
      });
    } catch {
      this.showStatus("The service is not responding.");
      return null;
    }
    if (response.ok) {
      return response.status === 204 ? {} : response.json();
    }
    const problem = await response.json().catch(() => ({}));
    const message = problem.detail || `The service returned status ${response.status}.`;
    if (response.status === 401 || response.status === 403) {
      this.leave(message);
    } else {
      this.showStatus(message);
    }
    return null;
  }

  showStatus(text) {
    clearTimeout(this.timer);
    this.status.textContent = text;
    if (!this.panel.hidden) {
      this.timer = setTimeout(() => (this.status.textContent = ""), STATUS_MS);
    }
  }
}

function headlineOf(item) {
  return item.querySelector("a:not(.label)").textContent.trim();
}
