// Starts what every page has. Each module works alone; without any of them the pages still work as forms.
import { startKeys } from "postern/keys";
import { startLive } from "postern/live";
import { startNews } from "postern/news";
import { startPalette } from "postern/palette";
import { startTheme } from "postern/theme";
import { startToasts } from "postern/toast";

startTheme();
startToasts();
startPalette();
startKeys();
startLive();
startNews();

// A menu closes when something else is pressed.
document.addEventListener("click", ({ target }) => {
  for (const menu of document.querySelectorAll("details.more[open]")) if (!menu.contains(target)) menu.removeAttribute("open");
});

// "Share this conversation…" opens its panel with the form unfolded. A menu it came from closes first, with the focus
// on its button: that is where the browser puts it back when the panel closes.
document.addEventListener("click", (event) => {
  const opener = event.target.closest?.("[data-unfolds]");
  const form = opener && document.getElementById(opener.dataset.unfolds);
  if (!form) return;
  form.open = true;
  const menu = opener.closest("details.more");
  menu?.querySelector("summary").focus();
  setTimeout(() => { menu?.removeAttribute("open"); form.querySelector("select, input:not([type=hidden])")?.focus(); });
});

// A form that wants to know the person's time zone.
for (const field of document.querySelectorAll("input[data-zone]")) field.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
