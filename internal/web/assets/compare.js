// The compare page where there is JavaScript: keys, drafts, active time, the lease, submits that wait for a
// connection, blurred texts. Without it the form works as it stands.
"use strict";

(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  let form = null; // of the task that is shown

  // Private windows may have no storage: then nothing outlasts the page.
  const stored = (storage, key) => { try { return JSON.parse(storage.getItem(key)); } catch { return null; } };
  const store = (storage, key, value) => { try { storage.setItem(key, JSON.stringify(value)); } catch { /* as above */ } };
  const forget = (storage, key) => { try { storage.removeItem(key); } catch { /* as above */ } };

  // ——— active time: with the page in front, and something done in the last half minute

  const idleAfter = 30_000, timeKey = () => "tandem:time:" + form.dataset.assignment;
  let active = 0, counted = performance.now(), lastSign = counted; // milliseconds

  function count() {
    const now = performance.now();
    if (document.visibilityState === "visible") active += Math.max(0, Math.min(now, lastSign + idleAfter) - counted);
    counted = now;
    if (!form) return;
    form.elements.seconds.value = (active / 1000).toFixed(1);
    store(sessionStorage, timeKey(), active);
  }
  for (const sign of ["pointermove", "pointerdown", "keydown", "scroll", "wheel", "touchstart"]) {
    addEventListener(sign, () => { count(); lastSign = performance.now(); }, { passive: true, capture: true });
  }
  document.addEventListener("visibilitychange", count);
  document.addEventListener("submit", count, true);

  // ——— the lease: renewed while somebody works, once a third of it is gone

  let heldUntil = 0, renewing = false; // by performance.now(); 0 where it is not held

  async function renew() {
    const lease = Number(form.dataset.lease) * 1000, now = performance.now(), renewed = form;
    if (!heldUntil || renewing || now - lastSign > idleAfter || document.visibilityState !== "visible" || heldUntil - now > lease * 2 / 3) return;
    renewing = true;
    try {
      const answer = await fetch("/api/v1/assignments/" + form.dataset.assignment + "/renew", { method: "POST" });
      if (form !== renewed) return;
      if (answer.ok) heldUntil = now + lease;
      else if (answer.status === 412) { heldUntil = 0; $("#lost").hidden = false; }
    } catch { /* without a connection the lease may run out: a submit is kept all the same */ } finally { renewing = false; }
  }

  setInterval(() => { count(); if (form) renew(); }, 1000);

  // ——— drafts: in the server, where they follow the person; in the browser until the server has them, which
  // outlasts a lost network and an expired sign-in

  const draftKey = () => "tandem:draft:" + form.dataset.assignment + (form.elements.version ? ":" + form.elements.version.value : "");
  const say = (text) => { const place = $("#draft"); if (place) place.textContent = text; };
  let saving = false, dirty = false, timer = 0;
  let known = "";   // the form's last state
  let kept = false; // it was submitted
  let sent = []; // what went to the server and may have been kept although no answer came: a reload cuts it off

  // plain is a draft as text, whatever order its fields come in.
  const sorted = (fields) => Object.entries(fields ?? {}).sort();
  const plain = (b) => JSON.stringify([b.position ?? 0, b.rating ?? 0, b.comment ?? "", sorted(b.labels), sorted(b.places)]);

  function entered() {
    const body = {}, chosen = (name) => Number($(`input[name="${name}"]:checked`, form)?.value ?? 0);
    if (chosen("position")) body.position = chosen("position");
    if (chosen("rating")) body.rating = chosen("rating");
    if (form.elements.comment.value) body.comment = form.elements.comment.value;
    for (const field of form.querySelectorAll("[name^='label-']:checked")) (body.labels ??= {})[field.name.slice(6)] = field.value;
    for (const field of form.querySelectorAll("[name^='place-']")) if (field.value) (body.places ??= {})[field.name.slice(6)] = Number(field.value);
    return body;
  }

  function fill(body) {
    const check = (name, value) => { const c = $(`input[name="${CSS.escape(name)}"][value="${CSS.escape(String(value))}"]`, form); if (c) c.checked = true; };
    if (body.position) check("position", body.position);
    if (body.rating) check("rating", body.rating);
    for (const [id, label] of Object.entries(body.labels ?? {})) check("label-" + id, label);
    for (const [id, place] of Object.entries(body.places ?? {})) { const s = form.elements["place-" + id]; if (s) s.value = place; }
    if (body.comment) { form.elements.comment.value = body.comment; $(".comment").open = true; }
  }

  function changed() {
    const now = plain(entered());
    if (kept || now === known) return; // a field that is left says so too
    known = now;
    dirty = true;
    $("#problem")?.remove();
    if (waiting) hold(); // what is changed goes when it is submitted again
    store(localStorage, draftKey(), { at: Date.now(), body: entered(), sent });
    if (form.elements.version) say("Kept in this browser until you submit it");
    else { clearTimeout(timer); timer = setTimeout(save, 700); }
  }

  async function save() {
    if (!form || !dirty || saving || kept || form.elements.version) return;
    const saved = form, key = draftKey(), body = entered();
    saving = true;
    dirty = false;
    let pause = 0; // seconds until the next try
    sent = [...sent, plain(body)].slice(-5);
    store(localStorage, key, { at: Date.now(), body, sent });
    try {
      const path = "/api/v1/assignments/" + saved.dataset.assignment + "/draft";
      const answer = await fetch(path, {
        method: "PUT", headers: { "Content-Type": "application/json" }, keepalive: true,
        body: JSON.stringify({ revision: Number(saved.dataset.revision), body }),
      });
      if (answer.ok) {
        saved.dataset.revision = (await answer.json()).revision;
        sent = [];
        if (plain(stored(localStorage, key)?.body ?? {}) === plain(body)) forget(localStorage, key);
      }
      if (form !== saved) return;
      if (answer.status === 412) { // by another tab, or by a save of this one whose answer was lost
        const there = await (await fetch(path)).json();
        if (!there.closed && sent.includes(plain(there.body ?? {}))) { saved.dataset.revision = there.revision; dirty = true; return; }
      }
      if (answer.ok) say("Draft kept");
      else if (answer.status === 412) say("Changed in another tab; what you submit here counts");
      else if (answer.status === 401) say("Signed out; the draft is kept in this browser");
      else { say("The draft is kept in this browser only"); pause = 30; }
    } catch {
      if (form !== saved) return;
      say("No connection; the draft is kept in this browser");
      pause = 5;
    } finally {
      saving = false;
      if (form === saved && (dirty || pause)) { dirty = true; clearTimeout(timer); timer = setTimeout(save, Math.max(pause * 1000, 700)); }
    }
  }

  // Drafts of a month ago are of tasks that nobody will come back to.
  function sweep() {
    try {
      for (const key of Object.keys(localStorage)) {
        if (key.startsWith("tandem:draft:") && !(stored(localStorage, key)?.at > Date.now() - 30 * 86400_000)) localStorage.removeItem(key);
      }
    } catch { /* as above */ }
  }

  // ——— a submit that did not get through waits on the page, and goes by itself once it can. Its key makes sure
  // that it counts once, whatever came through before.

  let waiting = false, retry = 0;

  function hold() { waiting = false; clearTimeout(retry); $("#waiting")?.remove(); }

  function wait(text, signIn) {
    waiting = true;
    clearTimeout(retry);
    let place = $("#waiting");
    if (!place) {
      place = document.createElement("p");
      place.id = "waiting";
      place.className = "warning";
      place.setAttribute("role", "alert");
      $(".verdict", form).prepend(place);
    }
    place.textContent = text + " ";
    if (signIn) {
      const link = document.createElement("a");
      Object.assign(link, { href: "/signin", target: "_blank", textContent: "Sign in in another tab" });
      place.append(link);
    }
    if (!signIn) retry = setTimeout(again, 10_000);
  }

  function again() { if (waiting && form && navigator.onLine) submit(); }

  const ours = (e) => form && e.detail.elt === form;
  document.addEventListener("htmx:responseError", (e) => {
    const status = e.detail.xhr.status;
    if (!ours(e)) return;
    if (status === 401) wait("You are signed out. What you submitted waits here, and goes once you are signed in again.", true);
    else if (status >= 500 || status === 429) wait("The server cannot take this now. What you submitted waits here, and goes by itself.");
    else { hold(); return; }
    e.preventDefault();
  }, true);
  document.addEventListener("htmx:sendError", (e) => {
    if (!ours(e)) return;
    wait("There is no connection. What you submitted waits here, and goes by itself.");
    e.preventDefault();
  }, true);
  addEventListener("online", () => { save(); again(); });
  addEventListener("focus", again);
  document.addEventListener("tandem:signed-in", () => { if (form && stored(localStorage, draftKey())) dirty = true; save(); again(); });
  addEventListener("pagehide", () => { count(); save(); });

  // A submit that was kept takes its draft out of the browser.
  document.addEventListener("htmx:beforeSwap", (e) => {
    if (ours({ detail: e.detail.requestConfig ?? {} }) && e.detail.xhr.status < 300) {
      hold();
      kept = true;
      forget(localStorage, draftKey());
      forget(sessionStorage, timeKey());
    }
  });

  // ——— keys

  const keysOff = () => stored(localStorage, "tandem:keys") === "off";

  function choose(field) {
    if (!field) return false;
    field.checked = true;
    field.focus({ preventScroll: true });
    field.dispatchEvent(new Event("change", { bubbles: true }));
    return true;
  }
  const label = (answer, value) => choose($(`input[data-label="${answer}"][value="${value}"]`, form));
  const position = (n) => choose($(`input[name="${form.dataset.kind === "pairwise" ? "position" : "rating"}"][value="${n}"]`, form));

  function submit() {
    const button = $("button.main", form);
    if (!button.disabled) form.requestSubmit(button);
    return true;
  }

  function open(key) {
    const summary = $(`summary[data-key="${key}"]`);
    if (!summary) return false;
    const drop = summary.parentElement;
    drop.open = !drop.open;
    (drop.open ? $("input", drop) : summary).focus();
    return true;
  }

  function reveal() {
    const boxes = [...document.querySelectorAll("[data-reveal]")], show = boxes.some((box) => !box.checked);
    for (const box of boxes) { box.checked = show; unveil(box); }
    return boxes.length > 0;
  }

  // Who hears the page is asked too: a blurred text is not read out.
  function unveil(box) { box.closest("label").nextElementSibling.setAttribute("aria-hidden", String(!box.checked)); }

  // A keyboard that writes no Latin letters has them in the places of one that does.
  function letter(e) {
    const other = /^\p{L}$/u.test(e.key) && !/^\p{Script=Latin}$/u.test(e.key) && /^Key[A-Z]$/.test(e.code) && !e.getModifierState("AltGraph");
    if (other) return e.code[3].toLowerCase();
    return e.key.length > 1 || e.shiftKey ? e.key : e.key.toLowerCase();
  }

  function press(key) {
    switch (key) {
      case "z": return label(0, "safe");
      case "x": return label(0, "unsafe");
      case "n": return label(1, "safe");
      case "m": return label(1, "unsafe");
      case "b": return reveal();
      case "c": $(".comment").open = true; form.elements.comment.focus(); return true;
      case "s": case "f": return open(key);
      case "g": { const link = $("a[data-key='g']"); if (link) link.click(); return !!link; }
      case "u": { const undo = $("#undo-form"); if (undo) undo.requestSubmit(); return !!undo; }
      case "?": $("#keys").showModal(); return true;
      case "Enter": return submit();
    }
    return /^[1-8]$/.test(key) && position(key);
  }

  addEventListener("keydown", (e) => {
    if (!form || $("dialog[open]") || e.isComposing) return;
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey) && e.target === form.elements.comment) { e.preventDefault(); submit(); return; }
    if (e.key === "Escape") {
      const drop = e.target.closest?.("details.drop[open]") ?? $("details.drop[open]");
      if (drop) { drop.open = false; $("summary", drop).focus(); } else if (window.tandem.typing(e)) e.target.blur();
      return;
    }
    if (e.ctrlKey || e.altKey || e.metaKey || e.repeat || window.tandem.typing(e)) return;
    if (keysOff() && e.key !== "?") return;
    // Enter does what the thing in focus says; and within a drop-down keys are its own.
    if (e.target.closest?.(".drop form") || e.key === "Enter" && e.target.closest?.("button, a, summary")) return;
    if (press(letter(e))) e.preventDefault();
  });

  // One drop-down at a time.
  document.addEventListener("click", (e) => {
    for (const drop of document.querySelectorAll("details.drop[open]")) if (!drop.contains(e.target)) drop.open = false;
  });

  // ——— each task that comes onto the page

  function begin(e) {
    const found = $("#judgment");
    if (found === form) return;
    form = found;
    if (!form) return;
    clearTimeout(timer);
    active = stored(sessionStorage, timeKey()) ?? 0;
    counted = lastSign = performance.now();
    heldUntil = Number(form.dataset.held) > 0 ? counted + Number(form.dataset.held) * 1000 : 0;
    dirty = waiting = kept = false;
    const draft = stored(localStorage, draftKey());
    sent = draft?.sent ?? [];
    if (draft?.body && plain(draft.body) === plain(entered())) forget(localStorage, draftKey());
    else if (draft?.body && !$("#problem")) {
      fill(draft.body);
      say("Restored from this browser; not submitted yet");
      dirty = true;
      save();
    }
    known = plain(entered());
    form.addEventListener("change", changed);
    form.addEventListener("input", changed);
    $("#keys-open").hidden = false;
    $("#keys-open").addEventListener("click", () => $("#keys").showModal());
    $("#keys-off").checked = keysOff();
    $("#keys-off").addEventListener("change", (e) => store(localStorage, "tandem:keys", e.target.checked ? "off" : "on"));
    for (const box of document.querySelectorAll("[data-reveal]")) {
      unveil(box);
      box.addEventListener("change", () => unveil(box));
    }
    for (const words of document.querySelectorAll(".drop input[name=words]")) {
      words.addEventListener("input", () => { $("input[value=other]", words.form).checked = true; });
    }
    $("#skip")?.addEventListener("submit", () => forget(localStorage, draftKey()));
    if ($("#problem")) $("#problem").focus();
    else if (e.type === "htmx:load") $("#main").focus({ preventScroll: true }); // the one that had it is gone
  }

  document.addEventListener("DOMContentLoaded", (e) => { sweep(); begin(e); });
  document.addEventListener("htmx:load", begin);
})();
