// Opens the reasons for a story on hover. Without this script, "Why" opens them on click or key press.

const PAUSE_MS = 350; // so that a pointer passing over a card opens nothing

/** Open the reasons of a card under the pointer; close them when it leaves or on Escape. */
export function showReasonsOnHover() {
  let timer = 0;
  document.addEventListener("pointerover", (event) => {
    const card = event.pointerType === "mouse" ? cardOf(event.target) : null;
    const others = [...document.querySelectorAll(".why[data-hover]")].filter((why) => !card?.contains(why));
    others.forEach(close);
    clearTimeout(timer);
    const why = card?.querySelector(".why");
    if (why && !why.open) {
      timer = setTimeout(() => open(why), PAUSE_MS);
    }
  });
  document.addEventListener("focusin", (event) => {
    const card = cardOf(event.target);
    const why = card?.querySelector(".why");
    if (why && !why.open && event.target.matches(".card-title a:focus-visible")) {
      open(why);
    }
  });
  document.addEventListener("focusout", (event) => {
    const card = cardOf(event.target);
    const why = card?.querySelector(".why[data-hover]");
    if (why && !card.contains(event.relatedTarget)) {
      close(why);
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      clearTimeout(timer);
      document.querySelectorAll(".why[open]").forEach(close);
    }
  });
}

function cardOf(target) {
  return target.closest?.(".card") ?? null;
}

function open(why) {
  why.open = true;
  why.dataset.hover = "";
}

function close(why) {
  why.open = false;
  delete why.dataset.hover;
}
