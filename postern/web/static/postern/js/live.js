// One EventSource a page. An event names a mailbox and a message, never content; the page asks again:
// lists carry hx-trigger="mail:new from:body", counts and health come from the address in data-live.

// What the stream names (mail/events.py) and what the page hears on its body.
const KINDS = {
  message: "mail:new",
  health: "health:changed",
  delivery: "delivery:changed",
  probe: "probe:changed",
};
const RETRY_SECONDS = [5, 10, 20, 30, 60];
const POLL_SECONDS = 30;
const PATIENCE_SECONDS = 5;

let source = null;
let tries = 0;
let polling = null;
let counting = null;
let doubting = null;
let missed = false;

function detail(event) {
  try {
    const found = JSON.parse(event.data);
    return { mailbox: found.mailbox, id: found.id ?? found.message };
  } catch {
    return {};
  }
}

function refreshShell() {
  // Many events in a burst (a first sync) ask once.
  clearTimeout(counting);
  counting = setTimeout(() => {
    window.htmx?.ajax("GET", document.body.dataset.live, { target: "body", swap: "none" });
  }, 400);
}

function tell(name, what) {
  window.htmx?.trigger(document.body, name, what);
  refreshShell();
}

function connected(yes) {
  document.body.toggleAttribute("data-offline", !yes);
  document.querySelectorAll("[data-dot]").forEach((dot) => { dot.classList.toggle("lost", !yes); });
  const health = document.querySelector("#health b");
  if (health && !yes) health.textContent = "Reconnecting";
  clearInterval(polling);
  polling = yes ? null : setInterval(() => tell("mail:new", {}), POLL_SECONDS * 1000);
}

function open(address) {
  source?.close();
  source = new EventSource(address);
  source.addEventListener("open", () => {
    tries = 0;
    clearTimeout(doubting);
    connected(true);
    if (missed) tell("mail:new", {});
    missed = false;
  });
  for (const [kind, name] of Object.entries(KINDS)) {
    source.addEventListener(kind, (event) => tell(name, detail(event)));
  }
  source.addEventListener("error", () => {
    // The server ends streams now and then by design; only a gap that lasts is worth showing.
    if (!missed) doubting = setTimeout(() => connected(false), PATIENCE_SECONDS * 1000);
    missed = true;
    // The browser tries again by itself unless the server refused; then we do, more and more slowly.
    if (source.readyState === EventSource.CLOSED) {
      const wait = RETRY_SECONDS[Math.min(tries++, RETRY_SECONDS.length - 1)];
      setTimeout(() => open(address), wait * 1000);
    }
  });
}

export function startLive() {
  const address = document.body.dataset.events;
  if (!address) return;
  open(address);
  addEventListener("pagehide", () => source?.close());
  // A page that the browser kept whole for Back may be of somebody who signed out since (S-105): the server decides.
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    document.body.hidden = true;
    location.reload();
  });
}
