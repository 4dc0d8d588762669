// Mail that arrives while somebody reads further down the list: it is announced by a button instead of
// moving what is being read. At the top of the list, or without this file, new rows appear by themselves.

const NEAR_TOP = 24;

const place = (row) => row.querySelector("a.open")?.getAttribute("href")?.split("?")[0];
const places = (root) => [...root.querySelectorAll("[data-row]")].map(place);

// How many rows of a fresh list stand above everything that is shown now.
function above(fresh, shown) {
  const known = new Set(shown);
  const first = fresh.findIndex((one) => known.has(one));
  return first < 0 ? fresh.length : first;
}

function announce(button, count) {
  button.textContent = `${count} new message${count === 1 ? "" : "s"}`;
  button.hidden = !count;
}

// Down in the list: nothing is swapped in while rows wait above; else the swap keeps the place.
function beforeSwap(event) {
  const list = event.detail.target;
  if (list?.id !== "list") return;
  const button = document.querySelector("[data-news]");
  if (!button || list.scrollTop <= NEAR_TOP) return button && announce(button, 0);
  const fresh = new DOMParser().parseFromString(event.detail.serverResponse, "text/html");
  const count = above(places(fresh), places(list));
  announce(button, count);
  if (count) {
    event.detail.shouldSwap = false;
    return;
  }
  const { scrollTop } = list;
  document.body.addEventListener("htmx:afterSwap", () => {
    document.getElementById("list").scrollTop = scrollTop;
  }, { once: true });
}

function upwards(button) {
  document.getElementById("list").scrollTop = 0;
  button.hidden = true;
  window.htmx?.trigger(document.body, "mail:new", {});
}

export function startNews() {
  const button = document.querySelector("[data-news]");
  if (!button) return;
  document.body.addEventListener("htmx:beforeSwap", beforeSwap);
  button.addEventListener("click", () => upwards(button));
  // `scroll` does not bubble, and the list is replaced by each swap.
  document.addEventListener("scroll", (event) => {
    if (event.target.id === "list" && !button.hidden && event.target.scrollTop <= NEAR_TOP) upwards(button);
  }, { capture: true, passive: true });
}
