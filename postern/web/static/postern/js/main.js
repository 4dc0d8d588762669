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

// A form that wants to know the person's time zone.
for (const field of document.querySelectorAll("input[data-zone]")) field.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
