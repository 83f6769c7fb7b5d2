"use strict";
/** Draws each chart in the colours of the page; for paper, light and as narrow as half a sheet. */
const PAPER = { half: 312, whole: 660 };
const scheme = matchMedia("(prefers-color-scheme: dark)");
const plots = [...document.querySelectorAll(".plot")].map((place) => ({
  place,
  figure: JSON.parse(place.nextElementSibling.textContent),
}));

function themed(layout, width) {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const axis = (own) => ({
    ...own,
    gridcolor: color("--grid"),
    linecolor: color("--line"),
    tickfont: { size: 11 },
    title: { standoff: 8, ...own.title, font: { size: 11.5 } },
  });
  return {
    ...layout,
    xaxis: axis(layout.xaxis),
    yaxis: axis(layout.yaxis),
    font: { color: color("--soft"), family: getComputedStyle(document.body).fontFamily, size: 12 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    autosize: width === undefined,
    width,
  };
}

function draw({ place, figure }, width) {
  // Plotly writes into what it is given.
  const { data, layout } = structuredClone(figure);
  return Plotly.react(place, data, themed(layout, width), { displayModeBar: false, responsive: width === undefined });
}

async function redraw() {
  await Promise.all(plots.map((plot) => draw(plot)));
  document.body.dataset.state = "ready";
}

function onPaper() {
  document.documentElement.dataset.scheme = "light";
  for (const plot of plots) draw(plot, plot.place.parentElement.matches(".wide") ? PAPER.whole : PAPER.half);
}

function onScreen() {
  delete document.documentElement.dataset.scheme;
  redraw();
}

addEventListener("beforeprint", onPaper);
addEventListener("afterprint", onScreen);
scheme.addEventListener("change", redraw);
redraw();
