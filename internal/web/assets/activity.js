// Hours: every minute that somebody works on a page is told to the server. A second is active with the page in front
// and a sign of life in the last half minute. What cannot be sent waits, in this tab.
"use strict";

(() => {
  const idleAfter = 30_000, minute = 60, kept = "tandem:activity";
  let active = 0, elapsed = 0, lastSign = performance.now(), sending = false;
  const waiting = (() => { try { return JSON.parse(sessionStorage.getItem(kept)) ?? []; } catch { return []; } })();
  const keep = () => { try { sessionStorage.setItem(kept, JSON.stringify(waiting.slice(-100))); } catch { /* private windows have none */ } };

  for (const sign of ["pointermove", "pointerdown", "keydown", "scroll", "wheel", "touchstart"]) {
    addEventListener(sign, () => { lastSign = performance.now(); }, { passive: true, capture: true });
  }
  setInterval(() => {
    if (document.visibilityState === "visible" && performance.now() - lastSign < idleAfter) active += 1;
    if (active && ++elapsed >= minute) { close(); send(); }
  }, 1000);

  // close ends a stretch of work.
  function close() {
    if (!active) return;
    const key = Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join("-");
    waiting.push({ key, at: Date.now(), seconds: active, project_id: document.querySelector("[data-project]")?.dataset.project });
    active = elapsed = 0;
    keep();
  }

  function report({ at, ...stretch }) {
    const ago = Math.min(86_400, Math.max(0, Math.floor((Date.now() - at) / 1000)));
    return fetch("/api/v1/activity", {
      method: "POST", headers: { "Content-Type": "application/json" }, keepalive: true, body: JSON.stringify({ ...stretch, seconds_ago: ago }),
    });
  }

  async function send() {
    if (sending) return;
    sending = true;
    try {
      while (waiting.length) {
        const { ok, status } = await report(waiting[0]);
        if (!ok && (status === 401 || status === 408 || status === 429 || status >= 500)) break; // later
        waiting.shift();
        keep();
      }
    } catch { /* no network: later */ } finally { sending = false; }
  }

  // Who leaves sends what there is, whether it arrives or not: the next page sends it again, and it counts once.
  addEventListener("pagehide", () => { close(); for (const stretch of waiting) report(stretch).catch(() => {}); });
  addEventListener("online", send);
  send();
})();
