// The composer: rich text over a plain textarea, saving as you type, files as they are dropped.
// Without this file the form writes and sends plain text all the same.

const SAVE_AFTER = 1000;

const form = document.querySelector("[data-composer]");
const box = form?.querySelector("[data-editor]");
const saved = form?.querySelector("[data-saved]");

const token = () => form.querySelector("[name=csrfmiddlewaretoken]").value;
const say = (text) => { saved.textContent = text; };
const clock = () => new Date().toTimeString().slice(0, 5);

// ---- rich text ---------------------------------------------------------------
function paragraphs(text) {
  const escape = (line) => line.replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]);
  return text.trimEnd().split(/\n{2,}/).map((part) => `<p>${escape(part).replaceAll("\n", "<br>")}</p>`).join("");
}

const MARKS = {
  bold: (chain) => chain.toggleBold(),
  italic: (chain) => chain.toggleItalic(),
  bulletList: (chain) => chain.toggleBulletList(),
  blockquote: (chain) => chain.toggleBlockquote(),
};

function startToolbar(editor) {
  const bar = form.querySelector("[data-toolbar]");
  bar.hidden = false;
  bar.querySelectorAll("[data-mark]").forEach((button) => {
    const mark = button.dataset.mark;
    button.addEventListener("click", () => {
      if (mark === "link") return editor.commands.addLink?.();
      MARKS[mark](editor.chain().focus()).run();
    });
    editor.on("transaction", () => button.setAttribute("aria-pressed", editor.isActive(mark)));
  });
}

async function startEditor() {
  // The editor would write a style tag, which the policy refuses; mail.css has those rules. It looks
  // first whether its tag is there; this one has the name only and no style in it.
  const tag = document.createElementNS("urn:postern", "style");
  tag.setAttribute("data-tiptap-style", "");
  document.head.append(tag);
  const { createEditor } = await import("django-prose-editor/configurable");
  const focused = document.activeElement === box;
  const plain = box.value;
  box.value = box.dataset.html || (plain ? paragraphs(plain) : "");
  const editor = await createEditor(box, JSON.parse(box.dataset.editor));
  if (!editor) { box.value = plain; return; }
  box.name = "html";
  startToolbar(editor);
  editor.on("update", changed);
  if (focused) editor.commands.focus("start");
}

// ---- saving as you type --------------------------------------------------------
let timer = null;
let saving = null;
let underWay = 0;

function changed() {
  clearTimeout(timer);
  timer = setTimeout(() => { saving = save(); }, SAVE_AFTER);
}

async function save() {
  underWay += 1;
  try { await saveNow(); } finally { underWay -= 1; }
}

async function saveNow() {
  const data = new FormData(form);
  data.delete("files");
  data.set("do", "autosave");
  let answer;
  try {
    answer = await fetch(form.action, { method: "POST", body: data, headers: { "X-CSRFToken": token() } });
  } catch {
    return say("Not saved: no connection");
  }
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) return say(found.error ?? "Not saved");
  if (new URL(found.draft, location.href).href !== form.action) {
    form.action = found.draft;
    history.replaceState(null, "", "docked" in form.dataset ? `?write=${found.id}` : found.draft);
  }
  say(`Draft saved ${clock()}`);
}

// ---- files -------------------------------------------------------------------
function row(name, size) {
  const one = document.createElement("span");
  one.className = "file";
  const mark = Object.assign(document.createElement("span"), { className: "ft", textContent: name.split(".").pop().slice(0, 4).toUpperCase() });
  const title = Object.assign(document.createElement("b"), { textContent: name });
  const small = Object.assign(document.createElement("small"), { textContent: size });
  const remove = Object.assign(document.createElement("button"), { className: "x", type: "button", textContent: "×", ariaLabel: `Remove ${name}` });
  one.append(mark, title, small, remove);
  form.querySelector("[data-files]").append(one);
  return { one, small, remove };
}

// In base64 a file grows by a third; one that cannot go out is not uploaded at all.
function tooLarge(file) {
  const most = Number(form.querySelector("[data-upload]").dataset.most);
  return most && file.size * 4 / 3 > most ? `Not uploaded: a message holds at most ${most / 1e6} MB with its attachments as they are sent` : "";
}

async function upload(file) {
  const refusal = tooLarge(file);
  const { one, small, remove } = row(file.name, refusal || "Uploading…");
  if (refusal) return remove.addEventListener("click", () => one.remove());
  clearTimeout(timer);
  await (saving = save());
  const data = new FormData();
  data.set("file", file);
  const answer = await fetch(`${form.action}files/`, { method: "POST", body: data, headers: { "X-CSRFToken": token() } }).catch(() => null);
  const found = await answer?.json().catch(() => ({}));
  if (!answer?.ok) {
    small.textContent = found?.error ?? "Not uploaded: no connection";
    remove.addEventListener("click", () => one.remove());
    return;
  }
  small.textContent = `${Math.ceil(found.size / 1024).toLocaleString("en")} KB`;
  remove.addEventListener("click", async () => {
    const gone = await fetch(`${form.action}files/${found.id}/remove/`, { method: "POST", headers: { "X-CSRFToken": token(), "X-Composer": "1" } });
    if (gone.ok) one.remove();
  });
}

function startFiles() {
  const input = form.querySelector("[data-upload]");
  input.addEventListener("change", () => {
    [...input.files].forEach(upload);
    input.value = "";
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    [...event.dataTransfer.files].forEach(upload);
  });
}

// ---- sending -------------------------------------------------------------------
const MENTIONS = /\b(attach(ed|ment)?|enclosed)\b/i;

function startSending() {
  // Before the editor, which would make Ctrl Enter a line break.
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    event.stopPropagation();
    form.requestSubmit(form.querySelector("[data-action=send]"));
  }, true);
  form.addEventListener("submit", (event) => {
    clearTimeout(timer);
    if (underWay) { // the draft has no address of its own yet: sent from here, a second one would stay behind
      event.preventDefault();
      const button = event.submitter;
      saving.finally(() => form.requestSubmit(button));
      return;
    }
    if (event.submitter?.value !== "send") return;
    const own = (form.querySelector(".ProseMirror")?.textContent ?? box.value).split(/^On .* wrote:/m)[0];
    const forgotten = MENTIONS.test(own) && !form.querySelector("[data-files] .file");
    if (forgotten && !confirm("The text mentions an attachment, but none is attached. Send anyway?")) event.preventDefault();
  });
}

if (form) {
  form.addEventListener("input", changed);
  startFiles();
  startSending();
  startEditor().catch(() => say(""));
}
