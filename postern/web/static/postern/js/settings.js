// My Profile → Email: ports propose themselves, Load fills in the folder, a suggested fix is one click.
const form = document.getElementById("settings");
const PORTS = { imap: { ssl: 993, starttls: 143, none: 143 }, smtp: { ssl: 465, starttls: 587, none: 25 } };

for (const protocol of ["imap", "smtp"]) {
  const mode = form?.elements[`${protocol}_security`];
  const port = form?.elements[`${protocol}_port`];
  mode?.addEventListener("change", () => {
    // A port somebody chose by hand stays.
    if (Object.values(PORTS[protocol]).includes(Number(port.value)) || !port.value) port.value = PORTS[protocol][mode.value];
  });
}

form?.addEventListener("input", () => {
  const place = document.querySelector("[data-dirty]");
  if (place) place.textContent = "Unsaved changes";
});

function showSystem() {
  const system = form?.elements.use_system_smtp?.checked;
  document.querySelectorAll(".personal-smtp").forEach((one) => { one.hidden = Boolean(system); });
  document.querySelectorAll(".system-smtp").forEach((one) => { one.hidden = !system; });
}
form?.elements.use_system_smtp?.addEventListener("change", showSystem);
if (form) showSystem();

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-folder]")) form.elements.sent_folder.value = event.target.value;
});

document.body.addEventListener("htmx:afterSwap", () => {
  const found = document.querySelector("[data-folders]:not([data-used])");
  if (!found) return;
  found.dataset.used = "yes";
  if (found.dataset.suggested) form.elements.sent_folder.value = found.dataset.suggested;
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-fix]");
  const field = button && form.elements[button.dataset.fix];
  if (!field) return;
  field.value = button.dataset.value;
  field.dispatchEvent(new Event("change"));
  document.querySelector(`button[name=probe][value=${button.dataset.probe}]`)?.click();
});
