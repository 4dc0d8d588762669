// One toast at a time, ten seconds, waiting while the pointer or the focus is on it.
// From the server: HX-Trigger {"toast": {"text": "...", "undo": "/address/", "red": false}}.

const SECONDS = 10;

function hold(box) {
  let left = SECONDS * 1000;
  let since = performance.now();
  let timer = setTimeout(() => box.remove(), left);
  const pause = () => { clearTimeout(timer); left -= performance.now() - since; };
  const resume = () => {
    if (box.matches(":hover") || box.contains(document.activeElement)) return;
    since = performance.now();
    clearTimeout(timer);
    timer = setTimeout(() => box.remove(), Math.max(left, 1500));
  };
  box.addEventListener("mouseenter", pause);
  box.addEventListener("mouseleave", resume);
  box.addEventListener("focusin", pause);
  box.addEventListener("focusout", () => setTimeout(resume));
}

function undoInPlace(box) {
  const form = box.querySelector("form");
  if (!form || !window.htmx) return;
  form.setAttribute("hx-post", form.getAttribute("action"));
  form.setAttribute("hx-swap", "none");
  window.htmx.process(form);
  form.addEventListener("htmx:afterRequest", () => box.remove());
}

export function showToast({ text, undo = "", red = false }) {
  const region = document.getElementById("toast");
  const shape = document.getElementById("toast-shape");
  if (!region || !shape) return;
  const box = shape.content.firstElementChild.cloneNode(true);
  box.classList.toggle("red", Boolean(red));
  box.querySelector("span").textContent = text;
  const form = box.querySelector("form");
  if (undo && new URL(undo, location.href).origin === location.origin) form.action = undo;
  else form.remove();
  region.replaceChildren(box);
  undoInPlace(box);
  hold(box);
}

const WORDS = {
  403: "This page is too old. Reload it and try again.",
  404: "That is not here any more.",
  413: "That is too large to send.",
  503: "Postern’s database does not take it at the moment. Try again in a minute.",
  429: "Too many requests. Wait a minute, then try again.",
};

export function startToasts() {
  document.querySelectorAll("#toast [data-toast]").forEach((box) => { undoInPlace(box); hold(box); });
  document.body.addEventListener("toast", (event) => showToast(event.detail));
  document.body.addEventListener("htmx:responseError", (event) => {
    const status = event.detail.xhr.status;
    showToast({ text: WORDS[status] ?? "That did not work. Nothing was changed.", red: true });
  });
  document.body.addEventListener("htmx:sendError", () => {
    showToast({ text: "No connection to Postern. Nothing was sent.", red: true });
  });
}
