// Keys. The table is the one drawn under "All shortcuts" (base/shortcuts.py). A key presses the visible
// element with data-action="<what it does>": in the row that J and K chose, else in the open message,
// else anywhere on the page. Pages add actions by adding that attribute; nothing is registered here.
import { openPalette } from "postern/palette";

const PAUSE = 1200;

function table() {
  const rows = [...document.querySelectorAll("[data-shortcut]")];
  const found = new Map();
  for (const row of rows) {
    const entry = { does: row.dataset.do, always: row.hasAttribute("data-always") };
    found.set(row.dataset.shortcut, entry);
    if (row.dataset.also) found.set(row.dataset.also, entry);
  }
  return found;
}

const rows = () => [...document.querySelectorAll("[data-row]")];
const focusedRow = () => document.activeElement?.closest("[data-row]");
const openRow = () => document.querySelector("[data-row][aria-current=true]");
const chosenRow = () => focusedRow() ?? openRow();
const visible = (one) => one.checkVisibility?.({ visibilityProperty: true }) ?? one.offsetParent !== null;

function press(action) {
  const places = [focusedRow(), ...document.querySelectorAll("[data-reading]"), openRow(), document.querySelector("main"), document.body];
  for (const place of places) {
    const one = [...(place?.querySelectorAll(`[data-action="${action}"]`) ?? [])].find(visible);
    if (one) return one.click(), true;
  }
  // A menu that is closed still has its actions.
  const hidden = document.querySelector(`[popover] [data-action="${action}"], #toast [data-action="${action}"]`);
  if (hidden) return hidden.click(), true;
  return false;
}

function step(by) {
  const all = rows();
  if (!all.length) return false;
  const at = all.indexOf(chosenRow());
  const next = all[Math.min(Math.max(at + by, 0), all.length - 1)];
  const open = next.querySelector(".open");
  open?.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
  return true;
}

function toggle(id) {
  document.getElementById(id)?.togglePopover();
  return true;
}

function back() {
  const open = document.querySelector(":popover-open");
  if (open) return open.hidePopover(), true;
  const menu = document.querySelector("details.more[open]");
  if (menu) return menu.querySelector("summary").focus(), menu.removeAttribute("open"), true;
  return press("back");
}

function search() {
  const field = [...document.querySelectorAll("[data-search]")].find(visible);
  if (field) return field.focus(), field.select?.(), true;
  return openPalette(), true;
}

function send() {
  const form = document.activeElement?.closest("form[data-send]") ?? document.querySelector("form[data-send]");
  return form ? (form.requestSubmit(form.querySelector("[data-action=send]")), true) : false;
}

const VERBS = {
  next: () => step(1),
  previous: () => step(-1),
  open: () => (document.activeElement?.matches("a, button, summary") ? false : press("open")),
  shortcuts: () => toggle("shortcuts"),
  palette: () => (openPalette(), true),
  back,
  search,
  send,
};

export const perform = (what) => (VERBS[what] ? VERBS[what]() : press(what));

const typing = (one) => one?.closest?.("input:not([type=checkbox], [type=radio], [type=submit]), textarea, select, [contenteditable]:not([contenteditable=false])");

export function startKeys() {
  const known = table();
  const single = document.body.dataset.singleKeys !== "off";
  let first = "";
  let timer = null;
  document.addEventListener("postern:do", (event) => perform(event.detail));
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.altKey || event.isComposing) return;
    const chord = event.ctrlKey || event.metaKey;
    const name = (chord ? "Control+" : "") + (event.key.length === 1 ? event.key.toLowerCase() : event.key);
    const entry = known.get(first ? `${first} ${name}` : name);
    const starts = !first && !chord && [...known.keys()].some((keys) => keys.startsWith(`${name} `));
    clearTimeout(timer);
    first = "";
    const inPopover = document.querySelector(":popover-open");
    if (!entry?.always && (chord || !single || typing(event.target) || (inPopover && name !== "?"))) return;
    if (starts) {
      first = name;
      timer = setTimeout(() => { first = ""; }, PAUSE);
    } else if (entry && perform(entry.does)) {
      event.preventDefault();
    }
  });
}
