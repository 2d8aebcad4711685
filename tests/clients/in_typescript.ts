// A CMS in TypeScript that uses the generated types. Arguments: the URL of the service, and an API key.
import assert from "node:assert/strict";

import createClient from "openapi-fetch";

import type { components, paths } from "./schema.js";

const [url, key] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${key}` } });

const article: components["schemas"]["SentArticle"] = {
  title: "Council votes on harbour budget",
  body: "<p>The council voted on the harbour budget tonight.",
  tags: ["harbour"],
  published_at: "2026-01-02T06:00:00Z",
};
const put = await client.PUT("/v1/articles/{id}", { params: { path: { id: "client-2" } }, body: article });
assert.equal(put.data?.applied, true);

const page = await client.GET("/v1/page", { params: { query: { id: "client-2", related_limit: 2 } } });
assert.ok(page.data);
assert.equal(page.data.article.title, article.title);
assert.equal(page.data.related.items.length, 2);

const firstId: string | undefined = page.data.related.items[0]?.id;
assert.ok(firstId);
const counted = await client.POST("/v1/events", {
  body: {
    events: [
      { article_id: "client-2", type: "view", visitor_id: "reader-2" },
      { article_id: firstId, type: "click", from_id: "client-2", position: 0 },
    ],
  },
});
assert.equal(counted.data?.accepted, 2);

const failed = await client.GET("/v1/page", { params: { query: { id: "nowhere" } } });
assert.equal(failed.error?.type, "unknown-article");
