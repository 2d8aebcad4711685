// Displays the OpenAPI document, so that every call works at the first click. Sends no requests to other
// sites; the online validator is disabled.

const METHODS = ["get", "put", "post", "delete"];
const SAFE_ID = "example-article"; // for calls that change an article: nobody should withdraw a real one by trying

const dark = matchMedia("(prefers-color-scheme: dark)");
const applyColors = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
applyColors();
dark.addEventListener("change", applyColors);

/** The JSON at a path, or null if it is not available, for example because reading requires a key. */
async function read(path) {
  const response = await fetch(path).catch(() => null);
  return response?.ok ? response.json() : null;
}

/** What the running model offers to fill in: ids of its newest articles, a word of a title, a topic. */
async function samples() {
  const [articles, topics] = await Promise.all([read("/v1/articles?limit=9"), read("/v1/topics")]);
  const items = articles?.items ?? [];
  const words = items.flatMap(({ title }) => title.match(/\p{L}{5,}/gu) ?? []);
  return {
    needsKey: !articles,
    ids: items.map(({ id }) => id),
    pathId: items.map(({ id }) => id).find((id) => !id.includes("/")),
    word: words[0],
    slug: topics?.topics[0]?.slug,
  };
}

/** Fill in what a call requires, and nothing else. */
function prepareParameters(operation, isChange, found) {
  const value = (parameter) => {
    if (isChange && parameter.name === "id") return SAFE_ID;
    if (parameter.in === "path") return { id: found.pathId, slug: found.slug }[parameter.name];
    if (parameter.schema.type === "array") return found.ids.slice(0, 2);
    return { id: found.ids[0], q: found.word }[parameter.name];
  };
  for (const parameter of operation.parameters ?? []) {
    const { schema } = parameter;
    if (schema.default !== undefined) {
      parameter.description = `${parameter.description ?? ""} (default: ${schema.default})`.trim();
      delete schema.default;
    }
    // An article is identified by its id or URL, so neither of them is formally required.
    const isNeeded = parameter.required || (parameter.name === "id" && parameter.in === "query");
    const example = isNeeded ? value(parameter) : undefined;
    if (example?.length) parameter.example = example;
    else if (!isNeeded) delete parameter.example;
  }
  operation.parameters?.sort((a, b) => (b.example !== undefined) - (a.example !== undefined));
}

/** Events are counted for articles that exist. */
function prepareBody(operation, found) {
  const examples = operation.requestBody?.content["application/json"]?.examples ?? {};
  if (operation.operationId !== "postEvents" || !found.ids.length) return;
  for (const { value } of Object.values(examples)) {
    for (const event of value.events ?? [value]) {
      event.article_id = found.ids[0];
      if (event.from_id) event.from_id = found.ids.at(-1);
    }
  }
}

function prepare(document, found) {
  for (const path of Object.values(document.paths)) {
    for (const method of METHODS) {
      const operation = path[method];
      if (!operation) continue;
      operation.tags = [operation["x-task"]];
      prepareParameters(operation, method === "put" || method === "delete", found);
      prepareBody(operation, found);
      const isOptional = operation.security?.some((scheme) => !Object.keys(scheme).length);
      if (isOptional && (!found.needsKey || operation.operationId === "postEvents")) operation.security = [];
    }
  }
  document.tags = document["x-tasks"].map((name) => ({ name }));
  document.info.description += "\n\nThe document itself: [/openapi.json](/openapi.json)";
  return document;
}

const [spec, found] = await Promise.all([read("/openapi.json"), samples()]);
window.SwaggerUIBundle({
  spec: prepare(spec, found),
  dom_id: "#docs",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: -1,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  validatorUrl: null,
});
