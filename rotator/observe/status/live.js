// Renews the page in place every five seconds while it is looked at. Without scripts it renews itself every fifteen.
"use strict";
const every = 5000;
const live = document.getElementById("live");
live.textContent = "live";

async function renew() {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.pathname, { cache: "no-store" });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!fresh.getElementById("main")) throw new Error("not a page of ours");
    put(fresh);
    live.textContent = "live";
  } catch {
    live.textContent = "out of reach: this is how things stood";
  }
}

function put(fresh) {
  const held = document.activeElement && document.activeElement.id;
  const verdict = document.getElementById("verdict");
  const main = document.getElementById("main");
  const next = fresh.getElementById("main");
  document.title = fresh.title;
  document.getElementById("as-of").replaceWith(fresh.getElementById("as-of"));
  if (main.innerHTML === next.innerHTML || selecting()) return;
  // The sentence a screen reader watches stays the same element, so that it speaks only when the words change.
  const said = next.querySelector("#verdict");
  if (verdict && said) {
    if (verdict.textContent !== said.textContent) verdict.textContent = said.textContent;
    said.replaceWith(verdict);
  }
  main.replaceChildren(...next.childNodes);
  const again = held && document.getElementById(held);
  if (again) again.focus({ preventScroll: true });
}

function selecting() {
  const selection = getSelection();
  return selection && !selection.isCollapsed;
}

setInterval(renew, every);
document.addEventListener("visibilitychange", renew);
