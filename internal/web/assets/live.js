// The live pages where there is JavaScript: what was typed is kept in the browser until it is on the server, and
// answers appear while they are written. Without it the forms work as they stand, and the page looks again by itself.
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const key = (place) => "tandem:prompt:" + place; // a person's, in a project: others may use the same browser
  const kept = {
    read(place) { try { return JSON.parse(localStorage.getItem(key(place))); } catch { return null; } },
    write(place, value) { try { localStorage.setItem(key(place), JSON.stringify(value)); } catch { /* private windows have none */ } },
    drop(place) { try { localStorage.removeItem(key(place)); } catch { /* as above */ } },
  };

  // ——— writing
  function writing(form) {
    const text = form.elements.text, count = $("#count"), limit = Number(form.dataset.limit), place = form.dataset.draft;
    const follows = form.elements.follows ? form.elements.follows.value : "";
    const draft = kept.read(place);
    const fields = ["text", "risk", "vector"].map((name) => form.elements[name]).filter(Boolean);
    if (draft && draft.follows === follows && !text.value) for (const field of fields) field.value ||= draft[field.name] ?? "";
    function changed() {
      const length = [...text.value].length;
      count.hidden = length < limit / 2;
      count.textContent = ", " + length + " so far";
      count.classList.toggle("count-over", length > limit);
    }
    form.addEventListener("input", () => {
      kept.write(place, { follows, ...Object.fromEntries(fields.map((field) => [field.name, field.value])) });
      changed();
    });
    text.addEventListener("keydown", (e) => {
      if (e.key === "Enter" && (e.ctrlKey || e.metaKey) && !e.isComposing) { e.preventDefault(); form.requestSubmit(); }
    });
    changed();
    const problem = $("#problem");
    (problem ?? text).focus();
  }

  // ——— watching
  const words = { waiting: "waits for its turn", sampling: "being written …", done: "whole", failed: "failed" };
  function watching(turn) {
    kept.drop(turn.dataset.draft); // the prompt is on the server
    for (const box of turn.querySelectorAll("[data-reveal]")) { // a blurred text is not read out either
      const unveil = () => box.closest("label").nextElementSibling.setAttribute("aria-hidden", String(!box.checked));
      unveil();
      box.addEventListener("change", unveil);
    }
    if (!turn.dataset.events) return;
    const events = new EventSource(turn.dataset.events);
    const answer = (n) => $(`[data-answer="${n}"]`, turn);
    events.addEventListener("text", (e) => {
      const news = JSON.parse(e.data);
      if (news.whole) answer(news.answer).textContent = news.text;
      else answer(news.answer).append(news.text);
    });
    events.addEventListener("turn", (e) => {
      const news = JSON.parse(e.data);
      $("#says").textContent = news.says;
      news.answers.forEach((state, n) => { if (state) $(`[data-state="${n}"]`, turn).textContent = words[state] ?? ""; });
      if (news.location) {
        events.close();
        location.replace(news.location);
      }
    });
    events.addEventListener("error", () => {
      // A connection that was lost comes again by itself; one that was refused does not: perhaps one has to sign in.
      if (events.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 3000);
    });
    addEventListener("pagehide", () => events.close());
  }

  document.addEventListener("DOMContentLoaded", () => {
    const form = $("#prompt"), turn = $("#turn");
    if (form) writing(form);
    if (turn) watching(turn);
  });
})();
