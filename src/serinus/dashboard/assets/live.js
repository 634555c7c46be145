// Keeps a page true to the system: the server renders, this fetches the rendered part again
// when an event says that something changed (or every few seconds), and draws the figures.
"use strict";

const live = document.getElementById("live");
const link = document.getElementById("link");
const figures = [...document.querySelectorAll("[data-figure]")];
const SHORTEST_MS = 700;

let busy = false;
let again = false;

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

async function refresh() {
  if (busy) { again = true; return; }
  busy = true;
  try {
    if (live) await swap(await get(live.dataset.fragment, "text"));
    await Promise.all(figures.map(draw));
    link.hidden = true;
  } catch (error) {
    link.hidden = false;
  }
  setTimeout(() => {
    busy = false;
    if (again) { again = false; refresh(); }
  }, SHORTEST_MS);
}

async function get(url, kind) {
  const answer = await fetch(url, { headers: { accept: "*/*" } });
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return answer[kind]();
}

function swap(html) {
  const focused = live.contains(document.activeElement) && document.activeElement.getAttribute("href");
  const open = new Set([...live.querySelectorAll("details[open]")].map((item) => item.id));
  live.innerHTML = html;
  for (const item of live.querySelectorAll("details")) if (item.id && open.has(item.id)) item.open = true;
  if (focused) live.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
}

async function draw(place) {
  const figure = await get(place.dataset.figure, "json");
  if (!figure.data.length) return;
  if (!place.dataset.drawn) { place.replaceChildren(); place.dataset.drawn = "yes"; }
  figure.layout.font.color = colour("--ink");
  figure.layout.hoverlabel = {
    bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: colour("--ink") },
  };
  await Plotly.react(place, figure.data, figure.layout, { displayModeBar: false, responsive: true });
}

function follow() {
  const events = new EventSource(live.dataset.events);
  events.addEventListener("status", refresh);
  events.addEventListener("end", () => { events.close(); refresh(); });
  events.addEventListener("error", () => { link.hidden = events.readyState === EventSource.OPEN; });
  events.addEventListener("open", () => { link.hidden = true; });
  window.addEventListener("pagehide", () => events.close());
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refresh);
if (live && live.dataset.events) follow();
if (live && live.dataset.every) {
  setInterval(() => { if (!document.hidden) refresh(); }, Number(live.dataset.every));
}
if (figures.length) refresh();
