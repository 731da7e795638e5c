// The compare page where there is JavaScript: keys, drafts, active time, blurred texts. Without it the form
// works as it stands.
"use strict";

(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  let form = null; // of the task that is shown

  // ——— active time: seconds with the page in front and something done in the last half minute

  const idleAfter = 30_000;
  let active = 0, lastSign = performance.now();
  for (const sign of ["pointermove", "pointerdown", "keydown", "scroll", "wheel", "touchstart"]) {
    addEventListener(sign, () => { lastSign = performance.now(); }, { passive: true, capture: true });
  }
  setInterval(() => {
    if (document.visibilityState === "visible" && performance.now() - lastSign < idleAfter) active += 1;
    if (form) form.elements.seconds.value = String(active);
  }, 1000);

  // ——— drafts: in the server, where they follow the person, and in the browser, where they outlast a lost
  // network and an expired sign-in

  const localKey = () => "tandem:draft:" + form.dataset.assignment;
  let saving = null, dirty = false, timer = 0;

  function entered() {
    const f = form.elements, body = {};
    const choice = (name) => { const c = form.querySelector(`input[name="${name}"]:checked`); return c ? c.value : ""; };
    if (choice("position")) body.position = Number(choice("position"));
    if (choice("rating")) body.rating = Number(choice("rating"));
    if (f.comment.value) body.comment = f.comment.value;
    for (const field of form.querySelectorAll("[name^='label-']:checked")) (body.labels ??= {})[field.name.slice(6)] = field.value;
    for (const field of form.querySelectorAll("[name^='place-']")) if (field.value) (body.places ??= {})[field.name.slice(6)] = Number(field.value);
    return body;
  }

  function fill(body) {
    const check = (name, value) => { const c = form.querySelector(`input[name="${CSS.escape(name)}"][value="${CSS.escape(String(value))}"]`); if (c) c.checked = true; };
    if (body.position) check("position", body.position);
    if (body.rating) check("rating", body.rating);
    for (const [id, label] of Object.entries(body.labels ?? {})) check("label-" + id, label);
    for (const [id, place] of Object.entries(body.places ?? {})) { const s = form.elements["place-" + id]; if (s) s.value = place; }
    if (body.comment) { form.elements.comment.value = body.comment; $(".comment").open = true; }
  }

  function changed() {
    dirty = true;
    try { localStorage.setItem(localKey(), JSON.stringify({ at: Date.now(), body: entered() })); } catch { /* private windows have none */ }
    clearTimeout(timer);
    timer = setTimeout(save, 700);
  }

  async function save() {
    if (!form || !dirty || form.elements.version || saving) return;
    const saved = form, say = (text) => { $("#draft").textContent = text; };
    dirty = false;
    saving = fetch("/api/v1/assignments/" + saved.dataset.assignment + "/draft", {
      method: "PUT", headers: { "Content-Type": "application/json" }, keepalive: true,
      body: JSON.stringify({ revision: Number(saved.dataset.revision), body: entered() }),
    });
    try {
      const answer = await saving;
      if (answer.ok) {
        saved.dataset.revision = (await answer.json()).revision;
        if (form === saved) say("Draft kept");
      } else if (answer.status === 412) say("Changed in another tab; what you submit here counts");
      else if (answer.status === 401) say("Signed out; the draft is kept in this browser");
      else say("The draft is kept in this browser only");
    } catch {
      if (form === saved) say("No connection; the draft is kept in this browser");
      dirty = true;
    } finally {
      saving = null;
      if (dirty && form === saved) { clearTimeout(timer); timer = setTimeout(save, 5000); }
    }
  }

  // ——— keys

  const keysOff = () => { try { return localStorage.getItem("tandem:keys") === "off"; } catch { return false; } };

  function choose(name, value) {
    const field = form.querySelector(`input[name="${name}"][value="${value}"]`);
    if (!field) return false;
    field.checked = true;
    field.focus({ preventScroll: true });
    field.dispatchEvent(new Event("change", { bubbles: true }));
    return true;
  }

  function label(answer, value) {
    const field = form.querySelector(`input[data-label="${answer}"][value="${value}"]`);
    if (!field) return false;
    field.checked = true;
    field.dispatchEvent(new Event("change", { bubbles: true }));
    return true;
  }

  const submit = () => { form.requestSubmit($("button.main", form)); return true; };

  function open(key) {
    const summary = $(`summary[data-key="${key}"]`);
    if (!summary) return false;
    summary.parentElement.open = true;
    (summary.parentElement.querySelector("input") ?? summary).focus();
    return true;
  }

  function press(key) {
    switch (key) {
      case "z": return label(0, "safe");
      case "x": return label(0, "unsafe");
      case "n": return label(1, "safe");
      case "m": return label(1, "unsafe");
      case "c": $(".comment").open = true; form.elements.comment.focus(); return true;
      case "s": case "f": return open(key);
      case "g": { const link = $("a[data-key='g']"); if (link) link.click(); return !!link; }
      case "u": { const undo = $("#undo-form"); if (undo) undo.requestSubmit(); return !!undo; }
      case "?": $("#keys").showModal(); return true;
      case "Enter": return submit();
    }
    return /^[1-8]$/.test(key) && choose(form.dataset.kind === "rating" ? "rating" : "position", key);
  }

  addEventListener("keydown", (e) => {
    if (!form || $("dialog[open]") || e.isComposing) return;
    if (e.key === "Enter" && e.ctrlKey && e.target === form.elements.comment) { e.preventDefault(); submit(); return; }
    if (e.key === "Escape" && window.tandem.typing(e)) { e.target.blur(); return; }
    if (e.ctrlKey || e.altKey || e.metaKey || e.repeat || window.tandem.typing(e)) return;
    if (keysOff() && e.key !== "?") return;
    if (e.key === "Enter" && e.target.closest?.("button, a, summary, .aside")) return; // it does what it says
    if (press(e.key)) e.preventDefault();
  });

  // ——— each task that comes onto the page

  function begin() {
    const found = $("#judgment");
    if (found === form) return;
    form = found;
    if (!form) return;
    active = 0;
    dirty = false;
    const kept = (() => { try { return JSON.parse(localStorage.getItem(localKey())); } catch { return null; } })();
    if (kept && !form.elements.version && JSON.stringify(kept.body) !== JSON.stringify(entered())) {
      fill(kept.body);
      dirty = true;
      save();
    }
    form.addEventListener("change", changed);
    form.addEventListener("input", changed);
    const keys = $("#keys-open");
    if (keys) { keys.hidden = false; keys.addEventListener("click", () => $("#keys").showModal()); }
    const off = $("#keys-off");
    if (off) { off.checked = keysOff(); off.addEventListener("change", () => { try { localStorage.setItem("tandem:keys", off.checked ? "off" : "on"); } catch { /* as above */ } }); }
    for (const text of document.querySelectorAll("[data-blurred]")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "quiet show-blurred";
      button.textContent = "Show the text";
      text.before(button);
      const show = () => { text.classList.add("shown"); button.remove(); };
      button.addEventListener("click", show);
      text.addEventListener("click", show);
    }
    const problem = $("#problem");
    if (problem) problem.focus();
  }

  // A submit that was kept takes its draft out of the browser.
  document.addEventListener("htmx:afterRequest", (e) => {
    if (e.detail.elt?.id === "judgment" && e.detail.successful) {
      try { localStorage.removeItem("tandem:draft:" + e.detail.elt.dataset.assignment); } catch { /* as above */ }
    }
  });
  addEventListener("online", save);
  addEventListener("pagehide", save);
  document.addEventListener("DOMContentLoaded", begin);
  document.addEventListener("htmx:load", begin);
})();
