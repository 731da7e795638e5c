// The clock of a stretch of red teaming. The server says how many seconds are left: this machine's own time does not matter.
"use strict";
(() => {
  let timer;
  function count() {
    clearInterval(timer);
    const box = document.querySelector("[data-left]");
    if (!box) return;
    const until = performance.now() + 1000 * Number(box.dataset.left);
    const shown = box.querySelector("[data-clock]"), says = document.querySelector("#clock-says");
    let told = Infinity;
    function show() {
      if (!box.isConnected) return clearInterval(timer);
      const left = Math.max(0, Math.ceil((until - performance.now()) / 1000));
      shown.textContent = Math.floor(left / 60) + ":" + String(left % 60).padStart(2, "0");
      box.classList.toggle("soon", left < 300);
      // A screen reader is told when it matters, not every second.
      for (const minutes of [10, 5, 1, 0]) {
        if (left <= 60 * minutes && told > minutes && left > 60 * minutes - 5) {
          told = minutes;
          says.textContent = minutes ? minutes + (minutes === 1 ? " minute is" : " minutes are") + " left." : "Your stretch is over. What you have written is kept here, and what was answered can still be rated.";
        }
      }
      if (!left) { says.classList.remove("sr"); clearInterval(timer); }
    }
    show();
    timer = setInterval(show, 500);
  }
  document.addEventListener("DOMContentLoaded", count);
  document.addEventListener("htmx:afterSettle", count);
})();
