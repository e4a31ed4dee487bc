// Learning curves: draws every element with data-curves, a list of {name, points}, by uPlot. Without it the tables say the same.
"use strict";
(() => {
  const COLOURS = ["#1f77b4", "#d9730d", "#2e8b57", "#b03a9c", "#8c6d1f"];

  function column(runs, epochs, key) {
    return runs.map((run) => {
      const known = new Map(run.points.map((point) => [point.epoch, point[key]]));
      return epochs.map((epoch) => known.get(epoch) ?? null);
    });
  }

  function draw(place) {
    const runs = JSON.parse(place.dataset.curves);
    const epochs = [...new Set(runs.flatMap((run) => run.points.map((point) => point.epoch)))].sort((a, b) => a - b);
    const colour = getComputedStyle(document.body).color;
    const lines = [["loss", "dev loss", []], ["train_loss", "train loss", [4, 4]], ["accuracy", "dev accuracy", []]];
    const series = [{ label: "epoch" }], data = [epochs];
    for (const [key, label, dash] of lines) {
      column(runs, epochs, key).forEach((values, n) => {
        if (values.every((value) => value === null)) return;
        const scale = key === "accuracy" ? "accuracy" : "loss";
        series.push({ label: `${runs[n].name} ${label}`, stroke: COLOURS[n % COLOURS.length], dash, scale, width: key === "accuracy" ? 3 : 1.5, spanGaps: true });
        data.push(values);
      });
    }
    const axis = { stroke: colour, grid: { stroke: "#8884", width: 1 } };
    const axes = [axis, { ...axis, scale: "loss", label: "loss" }, { ...axis, scale: "accuracy", side: 1, label: "accuracy", grid: { show: false } }];
    const size = () => ({ width: Math.max(280, Math.min(place.clientWidth, 900)), height: 260 });
    place.textContent = "";
    const plot = new uPlot({ ...size(), scales: { x: { time: false }, accuracy: { range: [0, 1] } }, series, axes }, data, place);
    window.addEventListener("resize", () => plot.setSize(size()));
  }

  function drawAll(root) {
    for (const place of root.querySelectorAll("[data-curves]")) {
      const folded = place.closest("details:not([open])");
      if (folded) folded.addEventListener("toggle", () => draw(place), { once: true });
      else draw(place);
    }
  }

  document.addEventListener("DOMContentLoaded", () => drawAll(document));
  for (const name of ["htmx:afterSwap", "followed"]) document.addEventListener(name, (event) => drawAll(event.target));
})();
