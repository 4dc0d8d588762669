// The command palette: places and actions filtered here, people and messages found by the server.

const box = () => document.getElementById("palette");
const field = () => box().querySelector("input");
const options = () => [...box().querySelectorAll("[role=option]:not([hidden])")];

function choose(option) {
  box().querySelectorAll("[aria-selected=true]").forEach((old) => old.setAttribute("aria-selected", "false"));
  option?.setAttribute("aria-selected", "true");
  option?.scrollIntoView({ block: "nearest" });
  if (option?.id) field().setAttribute("aria-activedescendant", option.id);
  else field().removeAttribute("aria-activedescendant");
}

function filter() {
  const words = field().value.trim().toLowerCase().split(/\s+/);
  box().querySelectorAll("[data-words]").forEach((option) => {
    const unable = option.id === "palette-undo" && !document.querySelector("#toast [data-action=undo]");
    option.hidden = unable || !words.every((word) => option.dataset.words.includes(word));
  });
  box().querySelectorAll("h3").forEach((head) => {
    let next = head.nextElementSibling;
    let any = false;
    while (next && next.tagName !== "H3") {
      any ||= next.matches("[role=option]:not([hidden])") || Boolean(next.querySelector("[role=option]:not([hidden])"));
      next = next.nextElementSibling;
    }
    head.hidden = !any;
  });
  choose(options()[0]);
}

// What the open message can do right now, offered under Actions.
function actionsHere() {
  const place = document.getElementById("palette-here");
  const found = new Map();
  document.querySelectorAll("[data-reading] [data-action], [data-row][aria-current=true] [data-action]").forEach((one) => {
    const label = (one.getAttribute("aria-label") || one.textContent).trim().replace(/\s*[A-Z#]$/, "");
    if (one.dataset.action !== "open" && label && !found.has(one.dataset.action)) found.set(one.dataset.action, label);
  });
  place.replaceChildren(...[...found].map(([action, label]) => {
    const option = document.createElement("button");
    Object.assign(option, { type: "button", id: `palette-do-${action}`, textContent: label });
    option.setAttribute("role", "option");
    option.dataset.press = action;
    option.dataset.words = label.toLowerCase();
    return option;
  }));
}

function move(step) {
  const all = options();
  const at = all.findIndex((option) => option.getAttribute("aria-selected") === "true");
  choose(all[(at + step + all.length) % all.length]);
}

function onKey(event) {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    move(event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Enter") {
    // Results that have only just come are not marked yet; the first of them is meant.
    const chosen = box().querySelector("[aria-selected=true]:not([hidden])") ?? options()[0];
    if (!chosen) return;
    event.preventDefault();
    chosen.click();
  }
}

// One search at a time: what was typed meanwhile is asked next, and an answer to anything else comes too late.
// (To abort it instead would write an error on the console for each letter typed on a slow line.)
function dropLate(event) {
  const asked = event.detail.requestConfig.parameters.q;
  if (asked !== field().value) event.detail.shouldSwap = false;
}

export function openPalette() {
  if (!box().matches(":popover-open")) box().showPopover();
  field().focus();
}

export function startPalette() {
  if (!box()) return;
  box().addEventListener("toggle", (event) => {
    // Typing may begin before this event arrives: what is typed is kept, and forgotten on closing.
    if (event.newState !== "open") {
      field().value = "";
      document.getElementById("palette-found").replaceChildren();
      return;
    }
    actionsHere();
    filter();
  });
  // At once, so that the next key is a shortcut again and not typed into a field nobody sees.
  box().addEventListener("beforetoggle", (event) => { if (event.newState !== "open") field().blur(); });
  field().addEventListener("input", filter);
  field().addEventListener("keydown", onKey);
  box().addEventListener("htmx:beforeSwap", dropLate);
  box().addEventListener("htmx:afterSettle", filter);
  box().addEventListener("click", (event) => {
    const pressed = event.target.closest("[data-press]");
    if (!pressed) return;
    box().hidePopover();
    document.dispatchEvent(new CustomEvent("postern:do", { detail: pressed.dataset.press }));
  });
}
