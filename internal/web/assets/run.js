// A run's page where there is JavaScript: its curves become live ones that can be read and enlarged, and events and the
// state appear as they come. Without it the page shows the curves as the server drew them.
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // text writes a number with five digits, very large and very small ones with an exponent.
  function text(x) {
    if (x == null) return "–";
    const size = Math.abs(x), short = Number(x.toPrecision(5));
    return (size >= 1e6 || size > 0 && size < 1e-4 ? short.toExponential() : String(short)).replaceAll("-", "−").replace("e+", "e");
  }
  const height = 170;

  // A chart holds a metric: xs, values, and the range that a point stands for, which new points do not have.
  class Chart {
    constructor(figure) {
      this.figure = figure;
      this.place = $(".chart", figure);
      this.data = [[], [], [], []];
    }

    begin({ steps, values, low, high }) {
      this.data = [steps, values, low ?? values.slice(), high ?? values.slice()];
      this.draw();
      this.say();
    }

    add({ steps, values }) {
      for (let i = 0; i < steps.length; i++) {
        if (this.data[0].length && steps[i] <= this.data[0].at(-1)) continue; // it is there
        this.data[0].push(steps[i]);
        for (const k of [1, 2, 3]) this.data[k].push(values[i]);
      }
      if (this.plot) this.plot.setData(this.data, this.whole());
      else this.draw();
      this.say();
    }

    // whole reports whether the plot shows all steps, so that new ones may move it; who has enlarged a part keeps it.
    whole() {
      const x = this.plot.scales.x;
      return !this.enlarged || x.min == null;
    }

    say() {
      const last = this.data[0].length - 1;
      if (last < 0) return;
      const value = this.data[1][last], step = this.data[0][last], now = $(".now", this.figure);
      now.replaceChildren(Object.assign(document.createElement("strong"), { textContent: value == null ? "not finite" : text(value) }), " at step " + step);
      this.place.setAttribute("aria-label", `Curve of ${this.figure.dataset.metric}, last ${value == null ? "not finite" : text(value)} at step ${step}. Its numbers stand in the table below.`);
    }

    draw() {
      if (!this.data[0].length) return;
      const axis = { stroke: () => colour("--soft"), grid: { stroke: () => colour("--line"), width: 1 }, ticks: { stroke: () => colour("--line"), width: 1 }, font: "11px system-ui, sans-serif" };
      this.place.replaceChildren();
      this.plot = new uPlot({
        width: this.place.clientWidth || 300, height,
        scales: { x: { time: false } },
        cursor: { sync: { key: "run" }, y: false, points: { size: 6 } },
        legend: { show: true },
        axes: [{ ...axis, size: 28 }, { ...axis, size: 56, values: (_, ticks) => ticks.map(text) }],
        series: [
          { label: "step", value: (_, v) => v == null ? "–" : String(v) },
          { label: "value", stroke: () => colour("--hue-0"), width: 1.6, points: { show: this.data[0].length < 40, size: 4 }, value: (_, v) => text(v) },
          { label: "least", show: true, stroke: "transparent", points: { show: false }, value: (_, v) => text(v) },
          { label: "greatest", show: true, stroke: "transparent", points: { show: false }, value: (_, v) => text(v) },
        ],
        bands: [{ series: [3, 2], fill: () => colour("--hue-0") + "30" }],
        hooks: { setScale: [(u, key) => { if (key === "x") this.enlarged = u.scales.x.min > u.data[0][0] || u.scales.x.max < u.data[0].at(-1); }] },
      }, this.data, this.place);
      for (const row of this.place.querySelectorAll(".u-legend tr:nth-child(n+3)")) row.hidden = true; // the band shows them
    }

    fit() { if (this.plot && this.place.clientWidth) this.plot.setSize({ width: this.place.clientWidth, height }); }
    repaint() { if (this.plot) this.plot.redraw(false); }
  }

  function watch(run) {
    const charts = new Map();
    for (const figure of run.querySelectorAll("[data-metric]")) charts.set(figure.dataset.metric, new Chart(figure));

    // chart finds a metric's chart, or makes one where the page has none yet.
    function chart(name) {
      if (!charts.has(name)) {
        const figure = $("#blank").content.firstElementChild.cloneNode(true);
        figure.dataset.metric = name;
        $("h3", figure).textContent = name;
        $("#none")?.remove();
        let section = $(`#curves > [data-group="${CSS.escape(name.includes("/") ? name.split("/")[0] : "")}"]`) ?? $("#curves > .new");
        if (!section) { // another part of the page, which has its name when it is loaded again
          section = Object.assign(document.createElement("section"), { className: "new" });
          section.append(Object.assign(document.createElement("h2"), { textContent: "New" }), Object.assign(document.createElement("div"), { className: "figures curves" }));
          $("#curves").append(section);
        }
        $(".curves", section).append(figure);
        charts.set(name, new Chart(figure));
        resized.observe($(".chart", figure));
      }
      return charts.get(name);
    }
    const fits = new Map();
    const resized = new ResizeObserver((entries) => { for (const e of entries) fits.get(e.target)?.fit(); });
    for (const c of charts.values()) { fits.set(c.place, c); resized.observe(c.place); }
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { for (const c of charts.values()) c.repaint(); });

    // show puts a part of the page, as the server wrote it, in its place.
    function show(place, html) {
      place.innerHTML = html;
      document.dispatchEvent(new CustomEvent("htmx:load", { detail: { elt: place } })); // local times
    }

    const events = new EventSource(run.dataset.events);
    events.addEventListener("curves", (e) => { for (const series of JSON.parse(e.data)) { const c = chart(series.name); fits.set(c.place, c); c.begin(series); } });
    events.addEventListener("points", (e) => { for (const series of JSON.parse(e.data)) { const c = chart(series.name); fits.set(c.place, c); c.add(series); } });
    events.addEventListener("event", (e) => {
      const { id, html } = JSON.parse(e.data), list = $("#happened");
      if ([...list.children].some((li) => li.dataset.id === id)) return; // the connection was lost meanwhile
      const holder = document.createElement("ol");
      show(holder, html);
      list.append(...holder.children);
      list.scrollTop = list.scrollHeight;
      $("#quiet").hidden = true;
    });
    events.addEventListener("state", (e) => show($("#state"), JSON.parse(e.data)));
    events.addEventListener("end", () => events.close());
    events.addEventListener("error", () => {
      // A connection that was lost comes again by itself; one that was refused does not: perhaps one has to sign in.
      if (events.readyState === EventSource.CLOSED) window.tandem.notice("The curves stand still: this page gets no more news. Reload it to go on.");
    });
    addEventListener("pagehide", () => events.close());
  }

  document.addEventListener("DOMContentLoaded", () => { const run = $("#run"); if (run) watch(run); });
})();
