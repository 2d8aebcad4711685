// Sends an event when a story is viewed, or clicked in a list. The events contain nothing about the reader.

/** Send a view of the story on this page, and a click for each story opened from a list. */
export function sendReaderEvents() {
  const story = document.querySelector("[data-story]");
  if (story) {
    whenShown(() => send({ article_id: story.dataset.story, type: "view" }));
  }
  for (const kind of ["click", "auxclick"]) {
    document.addEventListener(kind, (event) => {
      if (event.button < 2) {
        const link = event.target.closest?.("[data-list] [data-id] a:not(.label)");
        if (link) {
          send(clickOn(link, story));
        }
      }
    });
  }
}

function clickOn(link, story) {
  const item = link.closest("[data-id]");
  const list = item.closest("[data-list]");
  const items = [...list.querySelectorAll("[data-id]")];
  const event = { article_id: item.dataset.id, type: "click", list: list.dataset.list };
  if (story) {
    event.from_id = story.dataset.story;
    event.model_version = story.dataset.model;
  }
  return { ...event, position: items.indexOf(item) + 1 };
}

function send(event) {
  navigator.sendBeacon(document.body.dataset.events, JSON.stringify({ events: [event] }));
}

/** Call back when the page is visible: a prerendered page has not been viewed yet. */
function whenShown(callback) {
  if (document.prerendering) {
    document.addEventListener("prerenderingchange", callback, { once: true });
  } else {
    callback();
  }
}
