// Light and dark without a new page. The form in the menu does the same on the server when scripts are off.

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

async function keep(form, theme) {
  const body = new FormData(form);
  body.set("theme", theme);
  document.documentElement.dataset.theme = theme;
  await fetch(form.action, { method: "POST", body, redirect: "manual" });
}

export function startTheme() {
  const form = document.querySelector("[data-theme-switch]");
  const button = form?.querySelector("[data-action=theme]");
  if (!button) return;
  const name = () => { button.querySelector("span:not(.i)").textContent = isDark() ? "Light theme" : "Dark theme"; };
  name();
  button.addEventListener("click", (event) => {
    event.preventDefault();
    keep(form, isDark() ? "light" : "dark");
    name();
  });
}
