// The editors' corner: pins and blocks the stories of this page, through the calls that any editor's tool would use.

import { refresh } from "./fresh.js";

const STORED = "recommender-demo-key"; // for this tab, until it is closed
const OTHERS_MS = 1000; // until every worker of the service has seen a rule
const TOLD_MS = 6000; // of what was done
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
    this.desk = section.querySelector(".desk");
    this.list = section.querySelector(".rules");
    this.told = section.querySelector(".told");
    this.reason = section.querySelector("#reason");
    this.key = sessionStorage.getItem(STORED);
  }

  begin() {
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.enter(this.form.elements.key.value.trim());
    });
    this.section.querySelector(".leave").addEventListener("click", () => this.leave("The key is forgotten."));
    document.addEventListener("refreshed", () => this.offer());
    if (this.key) {
      this.enter(this.key);
    }
  }

  async enter(key) {
    this.key = key;
    const rules = await this.call("GET", "");
    if (rules) {
      sessionStorage.setItem(STORED, key);
      this.form.reset();
      this.form.hidden = true;
      this.desk.hidden = false;
      this.say("");
      await this.show(rules);
      this.offer();
    }
  }

  leave(told) {
    this.key = null;
    sessionStorage.removeItem(STORED);
    this.form.hidden = false;
    this.desk.hidden = true;
    document.querySelectorAll(".edit").forEach((each) => each.remove());
    this.say(told);
  }

  /** Put the two buttons beside each story of the lists. */
  offer() {
    if (this.desk.hidden) {
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
      reason: this.reason.value.trim() || "Tried out in the demo",
      author: "Editors’ corner",
    };
    const place = this.section.querySelector("[name=place]:checked").value;
    if (place === "article") {
      rule.for_article = this.story.dataset.story;
    } else if (place === "section") {
      rule.for_section = this.story.dataset.section;
    }
    item.closest("dialog")?.close(); // what comes of it is seen on the page
    const done = await this.call("PUT", `/corner-${crypto.randomUUID?.() ?? Date.now()}`, rule);
    if (done) {
      this.say(`${kind === "pin" ? "Pinned" : "Blocked"}: ${headline}`);
      await this.follow();
    }
  }

  async undo(rule) {
    if (await this.call("DELETE", `/${encodeURIComponent(rule.id)}`)) {
      this.say("The rule is gone.");
      await this.follow();
    }
  }

  /** Show what the change made of the lists, and of the rules. */
  async follow() {
    const rules = await this.call("GET", "");
    if (rules) {
      await this.show(rules);
    }
    await refresh();
    setTimeout(refresh, OTHERS_MS);
  }

  async show({ rules, file_rules: ofFile }) {
    const told = [...rules.map((rule) => [rule, true]), ...ofFile.map((rule) => [rule, false])];
    const here = told.filter(([rule]) => this.actsHere(rule));
    const lines = await Promise.all(here.map(([rule, isOurs]) => this.line(rule, isOurs)));
    this.list.replaceChildren(...lines);
    if (!lines.length) {
      const none = document.createElement("li");
      none.textContent = "None yet.";
      this.list.append(none);
    }
  }

  actsHere(rule) {
    const isOver = rule.until && Date.parse(rule.until) <= Date.now();
    const { story, section } = this.story.dataset;
    const category = rule.for_category ?? rule.for_section; // for_section is its former name
    const isHere = rule.for_article ? rule.for_article === story : !category || category === section;
    return isHere && !isOver && Array.isArray(rule.articles);
  }

  async line(rule, isOurs) {
    const names = await Promise.all(rule.articles.slice(0, 3).map((id) => this.headline(id)));
    const more = rule.articles.length > 3 ? ` and ${rule.articles.length - 3} more` : "";
    const line = document.createElement("li");
    const what = document.createElement("b");
    what.textContent = rule.kind;
    line.append(what, ` ${names.join("; ")}${more} `);
    const why = document.createElement("span");
    why.textContent = `${rule.reason} (${rule.author})`;
    line.append(why);
    if (isOurs) {
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
      const answer = await fetch(`${document.body.dataset.facts}?id=${encodeURIComponent(id)}`);
      return answer.ok ? (await answer.json()).title || id : id;
    } catch {
      return id;
    }
  }

  /** Call the rules; what they answer, or null when they refuse, and then it is told why. */
  async call(method, path, body) {
    const headers = { Authorization: `Bearer ${this.key}` };
    if (body) {
      headers["Content-Type"] = "application/json";
    }
    let answer;
    try {
      answer = await fetch(document.body.dataset.rules + path, {
        method,
        headers,
        body: body && JSON.stringify(body),
      });
    } catch {
      this.say("The service does not answer.");
      return null;
    }
    if (answer.ok) {
      return answer.status === 204 ? {} : answer.json();
    }
    const problem = await answer.json().catch(() => ({}));
    const told = problem.detail || `The service answers ${answer.status}.`;
    if (answer.status === 401 || answer.status === 403) {
      this.leave(told);
    } else {
      this.say(told);
    }
    return null;
  }

  say(text) {
    clearTimeout(this.timer);
    this.told.textContent = text;
    if (!this.desk.hidden) {
      this.timer = setTimeout(() => (this.told.textContent = ""), TOLD_MS);
    }
  }
}

function headlineOf(item) {
  return item.querySelector("a:not(.label)").textContent.trim();
}
