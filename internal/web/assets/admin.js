// What the pages of admins do where there is JavaScript: copy a secret that is shown once, offer time zones.
"use strict";

(() => {
  document.addEventListener("DOMContentLoaded", () => {
    for (const field of document.querySelectorAll("[data-secret]")) {
      field.addEventListener("focus", () => field.select());
      const button = field.closest(".row")?.querySelector("[data-copy]");
      if (!button || !navigator.clipboard) continue; // plain http beyond loopback has no clipboard: select and copy
      button.hidden = false;
      button.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(field.value);
          window.tandem.notice("Copied.", "success", 4);
        } catch {
          field.focus();
          window.tandem.notice("The browser does not let a page copy. The text is selected: copy it with Ctrl C.");
        }
      });
    }
    const list = document.getElementById("zones");
    if (list && Intl.supportedValuesOf) {
      for (const zone of ["UTC", ...Intl.supportedValuesOf("timeZone")]) {
        const option = document.createElement("option");
        option.value = zone;
        list.append(option);
      }
    }
  });
})();
