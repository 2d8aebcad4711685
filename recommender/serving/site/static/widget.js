/* Adds lists of related and trending articles to pages of any site:

     <div data-recommender="related" data-article="4711"></div>
     <script src="https://recommender.example/widget.js" defer></script>

   Stores nothing in the browser. If the service does not respond, the page stays as it is. */
(() => {
  "use strict";

  const script = document.currentScript;
  const service = new URL(".", script.src).href;
  const headings = { related: "Related posts", trending: "Trending" };
  const limits = { related: 9, trending: 8 };
  const timeoutMs = 8000; // a list that appears later would move the text while it is being read
  const viewed = new Set();
  let headingCount = 0;

  /* All colours derive from the surrounding text, so they also fit dark pages. */
  const style = `
.recommender { container-type: inline-size; min-width: min(14rem, 100vw); text-align: start; overflow-wrap: break-word; }
.recommender .recommender-heading { margin: 0 0 .5em; font-size: 1.375em; line-height: 1.2; }
.recommender .recommender-items { list-style: none; margin: 0; padding: 0; }
.recommender .recommender-item { position: relative; margin: 0; padding: .9em 0 1.1em; list-style: none;
  border-top: 1px solid color-mix(in srgb, currentColor 22%, transparent); }
.recommender .recommender-text { min-width: 0; line-height: 1.3; text-wrap: pretty; }
.recommender .recommender-image { aspect-ratio: 16 / 9; margin: 0 0 .7em; overflow: hidden;
  background: color-mix(in srgb, currentColor 8%, transparent); }
.recommender .recommender-image img { display: block; width: 100%; height: 100%; max-width: none; margin: 0;
  object-fit: cover; }
.recommender .recommender-label { display: block; margin: 0 0 .25em; font-size: .8em; font-weight: 700; line-height: 1.4;
  color: var(--recommender-accent, inherit); }
.recommender .recommender-title { color: inherit; font-weight: 700; text-decoration: none; }
.recommender .recommender-title::after { content: ""; position: absolute; inset: 0; }
.recommender .recommender-item:hover .recommender-title { text-decoration: underline; }
.recommender .recommender-facts { margin: .35em 0 0; font-size: .8em; line-height: 1.4;
  color: color-mix(in srgb, currentColor 75%, transparent); }
.recommender .recommender-facts > * + *::before { content: "\\00b7"; margin-inline: .2em .45em; }
.recommender-related { margin-block: 2em; }
.recommender-related .recommender-items { display: grid; gap: 0 2em;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, max(13em, (100% - 4em) / 3)), 1fr)); }
.recommender-trending .recommender-items { columns: 17em; column-gap: 2em; counter-reset: recommender; }
.recommender-trending .recommender-item { display: grid; grid-template-columns: 2em minmax(0, 1fr); break-inside: avoid;
  padding: .7em 0; counter-increment: recommender; }
.recommender-trending .recommender-item::before { content: counter(recommender); font-size: 1.3em; line-height: 1.15;
  color: var(--recommender-accent, inherit); }
@container (28em <= width < 43em) {
  .recommender-related .recommender-item:first-child:nth-last-child(odd) { display: flex; gap: 2em; grid-column: 1 / -1; }
  .recommender-related .recommender-item:first-child:nth-last-child(odd) > * { flex: 1; align-self: start; }
  .recommender-related .recommender-item:first-child:nth-last-child(odd) .recommender-title { font-size: 1.25em; }
}
@container (width < 28em) {
  .recommender-related .recommender-item { display: flex; gap: 1em; padding: .9em 0; }
  .recommender-related .recommender-image { flex: none; width: 6.5em; margin: .2em 0 0; aspect-ratio: 4 / 3;
    align-self: start; }
}
@media print { .recommender { display: none; } }`;

  const addStyle = () => {
    if (script.dataset.style === "none" || !("adoptedStyleSheets" in document)) return;
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(style);
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  };

  const make = (tag, name, ...children) => {
    const element = document.createElement(tag);
    element.className = `recommender-${name}`;
    element.append(...children.filter((child) => child));
    return element;
  };

  /* The URL if it is safe to link to; null for `javascript:` and other schemes. */
  const safeUrl = (address) => {
    try {
      const url = new URL(address || "about:", document.baseURI);
      return /^https?:$/.test(url.protocol) ? url.href : null;
    } catch {
      return null;
    }
  };

  const formatted = (Format, language, options, value) => {
    try {
      return new Format(language, options).format(value);
    } catch {
      return new Format(undefined, options).format(value);
    }
  };

  const facts = (item, language) => {
    const minutes = { style: "unit", unit: "minute", unitDisplay: "short" };
    const length = make("span", "minutes", formatted(Intl.NumberFormat, language, minutes, item.reading_minutes));
    if (!item.published_at) return make("p", "facts", length);
    const date = formatted(Intl.DateTimeFormat, language, { dateStyle: "medium" }, new Date(item.published_at));
    const time = make("time", "date", date);
    time.dateTime = item.published_at;
    return make("p", "facts", time, " ", length);
  };

  /* Decorative: the alt text is empty. Without an image, or if it fails to load, the text has the whole width. */
  const image = (item) => {
    const source = safeUrl(item.image_url);
    if (!source) return null;
    const area = make("div", "image");
    const picture = new Image();
    Object.assign(picture, { loading: "lazy", decoding: "async", alt: "" });
    picture.addEventListener("error", () => area.remove());
    picture.src = source;
    area.append(picture);
    return area;
  };

  const entry = (place, item, language, hasImages) => {
    const { href } = place.dataset;
    const address = safeUrl(href ? href.replace("{id}", encodeURIComponent(item.id)) : item.url);
    if (!address) return null;
    const isRelated = place.dataset.recommender === "related";
    const title = make("a", "title", item.title || address);
    title.href = address;
    title.dir = "auto";
    if (item.lang) title.lang = item.lang;
    const label = item.category && make("span", "label", item.category);
    const text = make("div", "text", label, title, isRelated && facts(item, language));
    return make("li", "item", isRelated && hasImages && image(item), text);
  };

  const count = (event) => {
    if (script.dataset.events === "none" || !navigator.sendBeacon) return;
    navigator.sendBeacon(`${service}v1/events`, JSON.stringify(event));
  };

  /* A background tab counts as a view once it becomes visible. */
  const view = (article) => {
    if (!article || viewed.has(article)) return;
    if (document.visibilityState === "hidden") {
      document.addEventListener("visibilitychange", () => view(article), { once: true });
      return;
    }
    viewed.add(article);
    count({ article_id: article, type: "view" });
  };

  const countClicks = (element, place, item, position, response, article) => {
    const clicked = (event) => {
      if (event.button > 1) return; // the right button opens a menu
      count({
        article_id: item.id,
        type: "click",
        from_id: article,
        list: place.dataset.recommender,
        position,
        model_version: response.model?.version,
      });
    };
    const link = element.querySelector("a");
    link.addEventListener("click", clicked);
    link.addEventListener("auxclick", clicked);
  };

  const show = (place, response, article) => {
    const kind = place.dataset.recommender;
    const { heading = headings[kind], level = "2" } = place.dataset;
    const language = place.closest("[lang]")?.lang || undefined;
    const hasImages = place.dataset.images !== "none" && response.items.some((item) => item.image_url);
    const list = make(kind === "trending" ? "ol" : "ul", "items");
    list.setAttribute("role", "list"); // Safari does not expose a list without bullets as a list
    for (const item of response.items) {
      if (list.childElementCount === limit(place)) break;
      const element = item.id === article ? null : entry(place, item, language, hasImages);
      if (!element) continue;
      list.append(element);
      countClicks(element, place, item, list.childElementCount, response, article);
    }
    if (!list.childElementCount) return;
    const section = make("section", kind, heading && make(`h${level}`, "heading", heading), list);
    section.classList.add("recommender");
    if (heading) {
      section.firstChild.id = `recommender-${++headingCount}`;
      section.setAttribute("aria-labelledby", section.firstChild.id);
    }
    place.replaceChildren(section);
  };

  const limit = (place) => Number(place.dataset.limit || limits[place.dataset.recommender]);

  const get = async (call, parameters, more = "") => {
    const query = new URLSearchParams(more);
    for (const [name, value] of Object.entries(parameters)) query.set(name, value);
    const options = { credentials: "omit", signal: AbortSignal.timeout?.(timeoutMs) };
    const response = await fetch(`${service}v1/${call}?${query}`, options);
    if (!response.ok) throw response.status;
    return response.json();
  };

  /* The parameters that identify the article of a place, or null. A trending list belongs to the article
     of the related list on the page. */
  const articleOf = ({ dataset: { recommender, article, url } }) => {
    if (article) return { id: article };
    if (url) return { url };
    const related = document.querySelector("[data-recommender=related]");
    if (recommender !== "related") return related && articleOf(related);
    return { url: document.querySelector("link[rel=canonical]")?.href || location.href };
  };

  const fillOne = async (place, address) => {
    const { recommender: kind, query } = place.dataset;
    const response =
      kind === "related"
        ? await get(kind, { ...address, limit: limit(place), unknown: "fallback" }, query)
        : await get(kind, { limit: Math.min(limit(place) + 1, 50) }, query);
    const article = address?.id || response.article_id;
    view(article);
    show(place, response, article);
  };

  /* Fetch both lists of an article in one request, so that no article appears twice. */
  const fillBoth = async (places, address) => {
    const sizes = {};
    for (const place of places) sizes[`${place.dataset.recommender}_limit`] = limit(place);
    let response;
    try {
      response = await get("page", { ...address, ...sizes });
    } catch (status) {
      if (status !== 404 && status !== 410) throw status;
      await Promise.allSettled(places.map((place) => fillOne(place, address)));
      return;
    }
    view(response.article.id);
    for (const place of places) show(place, response[place.dataset.recommender], response.article.id);
  };

  const render = async (root = document) => {
    const groups = new Map();
    for (const place of root.querySelectorAll("[data-recommender=related], [data-recommender=trending]")) {
      const address = articleOf(place);
      view(address?.id);
      const name = JSON.stringify(address);
      if (!groups.has(name)) groups.set(name, { address, places: [] });
      groups.get(name).places.push(place);
    }
    const filling = [];
    for (const { address, places } of groups.values()) {
      const kinds = new Set(places.map((place) => place.dataset.recommender));
      const isPage = address && kinds.size === 2 && places.length === 2 && !places.some((place) => place.dataset.query);
      if (isPage) filling.push(fillBoth(places, address));
      else filling.push(...places.map((place) => fillOne(place, address)));
    }
    await Promise.allSettled(filling);
  };

  addStyle();
  const parsed = new Promise((resolve) => {
    if (document.readyState !== "loading") resolve();
    else document.addEventListener("DOMContentLoaded", resolve);
  });
  window.recommender = { render, ready: parsed.then(() => render()) };
})();
