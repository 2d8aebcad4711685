// Tells the service that a story was opened, or chosen in a list: of readers themselves it tells nothing.

/** Count the story of this page as viewed, and each story as clicked that is chosen in a list. */
export function tellOfReaders() {
  const story = document.querySelector("[data-story]");
  if (story) {
    whenShown(() => send({ article_id: story.dataset.story, type: "view" }));
  }
  for (const kind of ["click", "auxclick"]) {
    document.addEventListener(kind, (event) => {
      if (event.button < 2) {
        const link = event.target.closest?.("[data-list] [data-id] a:not(.label)");
        if (link) {
          send(chosen(link, story));
        }
      }
    });
  }
}

function chosen(link, story) {
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

/** A page that the browser loads ahead of time is not read yet. */
function whenShown(then) {
  if (document.prerendering) {
    document.addEventListener("prerenderingchange", then, { once: true });
  } else {
    then();
  }
}
