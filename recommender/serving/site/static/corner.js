// The editors' corner: sets all kinds of rules with the public rules API.

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
    this.fields = section.querySelector(".rule-form");
    this.key = sessionStorage.getItem(STORAGE_KEY);
  }

  begin() {
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.enter(this.form.elements.key.value.trim());
    });
    this.section.querySelector(".leave").addEventListener("click", () => this.leave("Key removed."));
    this.fields.addEventListener("submit", (event) => event.preventDefault());
    for (const button of this.fields.querySelectorAll("[data-rule]")) {
      button.addEventListener("click", () => this.putForSection(button.dataset.rule));
    }
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

  /** Add the buttons to each story of the lists. */
  addButtons() {
    if (this.panel.hidden) {
      return;
    }
    for (const item of document.querySelectorAll(`${LISTS} [data-id]`)) {
      if (!item.querySelector(".edit") && item.dataset.id !== this.story.dataset.story) {
        const edit = document.createElement("div");
        edit.className = "edit";
        edit.append(
          this.button("Pin", "pin", item),
          this.button("Block", "block", item),
          this.button("Boost", "boost", item),
        );
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
    item.closest("dialog")?.close(); // the form and the result are on the page
    const place = kind === "boost" ? { factor: this.factor } : this.place();
    await this.send({ kind, articles: [item.dataset.id], ...place }, headlineOf(item));
  }

  /** Set a rule for a whole section, or a cap. */
  async putForSection(kind) {
    const { category, per, at_most: atMost } = this.fields.elements;
    const details = {
      boost: { in_category: category.value, factor: this.factor },
      block: { in_category: category.value, ...this.place() },
      sensitive: { in_category: category.value },
      cap: { per: per.value, at_most: atMost.valueAsNumber },
    };
    await this.send({ kind, ...details[kind] }, kind === "cap" ? "" : category.selectedOptions[0].text);
  }

  get factor() {
    return this.fields.elements.factor.valueAsNumber;
  }

  /** Where a pin or block applies. */
  place() {
    const { story, section } = this.story.dataset;
    const place = this.fields.elements.place.value;
    return { article: { for_article: story }, section: { for_category: section }, site: {} }[place];
  }

  /** Add a rule with the reason, the author and the times of the form, once they are valid. */
  async send(rule, name) {
    if (!this.fields.reportValidity()) {
      return;
    }
    const { reason, author, from, until } = this.fields.elements;
    const times = Object.entries({ from, until }).filter(([, field]) => field.value);
    const moments = times.map(([key, field]) => [key, new Date(field.value).toISOString()]);
    const complete = { ...rule, reason: reason.value, author: author.value, ...Object.fromEntries(moments) };
    if (await this.call("PUT", `/corner-${crypto.randomUUID?.() ?? Date.now()}`, complete)) {
      this.showStatus(`Added: ${rule.kind} ${name}`);
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
    return isHere && !isExpired;
  }

  /** What a rule is about, in words. */
  async target(rule) {
    if (rule.kind === "cap") {
      return `at most ${rule.at_most} per ${rule.per === "author" ? "author" : "section"}`;
    }
    const factor = rule.kind === "boost" ? ` × ${rule.factor}` : "";
    if (!rule.articles) {
      const category = rule.in_category ?? rule.in_section; // in_section is its former name
      return (category ? `section ${category}` : `author ${rule.by_author}`) + factor;
    }
    const names = await Promise.all(rule.articles.slice(0, 3).map((id) => this.headline(id)));
    const more = rule.articles.length > 3 ? ` and ${rule.articles.length - 3} more` : "";
    return names.join("; ") + more + factor;
  }

  async line(rule, isRemovable) {
    const target = await this.target(rule);
    const line = document.createElement("li");
    const kind = document.createElement("b");
    kind.textContent = rule.kind;
    line.append(kind, ` ${target} `);
    const reason = document.createElement("span");
    const times = ["from", "until"].filter((name) => rule[name]).map((name) => `${name} ${localTime(rule[name])}`);
    reason.textContent = `${rule.reason} (${[rule.author, ...times].join(", ")})`;
    line.append(reason);
    if (isRemovable) {
      const undo = document.createElement("button");
      undo.type = "button";
      undo.className = "plain";
      undo.textContent = "Undo";
      undo.setAttribute("aria-label", `Undo: ${rule.kind} ${target}`);
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

function localTime(moment) {
  return new Date(moment).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}
