// What every page does where there is JavaScript: local times, the time zone of who joins, notices. Pages
// work without it.
"use strict";

(() => {
  // notice says something without taking the focus away; a screen reader reads it.
  window.tandem = {
    notice(text, kind = "warning", seconds = 8) {
      const place = document.getElementById("notices");
      const p = document.createElement("p");
      p.className = kind;
      p.textContent = text;
      place.append(p);
      if (seconds > 0) setTimeout(() => p.remove(), seconds * 1000);
      return p;
    },
    // typing reports whether keys go into a field, where no shortcut may take them.
    typing(event) {
      const t = event.target;
      return t instanceof HTMLElement && (t.isContentEditable || t.matches("textarea, select, input:not([type=radio], [type=checkbox], [type=button], [type=submit])"));
    },
  };

  function localise(root) {
    const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
    for (const t of root.querySelectorAll("time[datetime]")) {
      const at = new Date(t.dateTime);
      if (!Number.isNaN(at.valueOf())) t.textContent = format.format(at);
    }
    // A content warning that was closed stays closed in this browser, as long as it says the same.
    for (const warning of root.querySelectorAll("details[data-read]")) {
      const key = "tandem:read:" + warning.dataset.read, text = warning.querySelector("p").textContent;
      try { warning.open = localStorage.getItem(key) !== text; } catch { /* private windows have none */ }
      warning.addEventListener("toggle", () => { try { if (warning.open) localStorage.removeItem(key); else localStorage.setItem(key, text); } catch { /* as above */ } });
    }
    for (const field of root.querySelectorAll("[data-time-zone]")) {
      field.value ||= Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
    }
  }

  document.addEventListener("DOMContentLoaded", () => localise(document));
  document.addEventListener("htmx:load", (e) => localise(e.detail.elt));
  // A page that knows better what to say prevents these.
  document.addEventListener("htmx:responseError", (e) => {
    if (e.defaultPrevented) return;
    const answer = new DOMParser().parseFromString(e.detail.xhr.responseText, "text/html");
    window.tandem.notice(e.detail.xhr.status === 401
      ? "You are not signed in any more. Sign in in another tab, then try again."
      : answer.querySelector(".detail")?.textContent || "The server did not do that: " + e.detail.xhr.status + ".");
  });
  document.addEventListener("htmx:sendError", (e) => {
    if (!e.defaultPrevented) window.tandem.notice("The server cannot be reached; nothing was lost. Try again in a moment.");
  });

  // Tabs tell each other when somebody is signed in, so that what waits for it can go.
  const tabs = new BroadcastChannel("tandem");
  tabs.addEventListener("message", () => document.dispatchEvent(new Event("tandem:signed-in")));
  document.addEventListener("DOMContentLoaded", () => { if (document.querySelector(".who")) tabs.postMessage("signed in"); });

  // A form that must not be sent twice is disabled once it goes.
  document.addEventListener("submit", (e) => {
    if (e.defaultPrevented || !e.target.matches("form[data-once]")) return;
    setTimeout(() => { for (const b of e.target.querySelectorAll("button")) b.disabled = true; });
  });
  window.addEventListener("pageshow", (e) => {
    if (e.persisted) for (const b of document.querySelectorAll("form[data-once] button")) b.disabled = false;
  });
})();
