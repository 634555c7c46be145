// Keeps a page true to the system: the server renders, this fetches the rendered part again
// when an event says that something changed (or every few seconds), and draws the figures.
"use strict";

const fragments = [...document.querySelectorAll("[data-fragment]")];
const link = document.getElementById("link");
const figures = [...document.querySelectorAll("[data-figure]")];
const SHORTEST_MS = 700;

let busy = false;
let again = false;
let ended = "";

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

async function refresh() {
  if (busy) { again = true; return; }
  busy = true;
  try {
    await Promise.all([...fragments.map(swap), ...figures.map(draw)]);
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

async function swap(place) {
  const html = await get(place.dataset.fragment, "text");
  const focused = place.contains(document.activeElement) && document.activeElement.getAttribute("href");
  place.innerHTML = html;
  offer(place.querySelector("[data-verbs]"));
  if (focused) place.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
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

const ask = document.querySelector("[data-ask]");

// The form stays while the page changes around it, so that no reason is lost while it is written.
function offer(source) {
  if (!ask || !source) return;
  const possible = source.dataset.verbs.split(" ");
  ask.dataset.step = source.dataset.step;
  for (const button of ask.querySelectorAll("button")) button.hidden = !possible.includes(button.value);
}

async function intervene(event) {
  event.preventDefault();
  const verb = event.submitter.value;
  const told = ask.querySelector("output");
  told.value = "…";
  try {
    const answer = await fetch(`${ask.dataset.ask}/${verb}`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-serinus-actor": "dashboard" },
      body: JSON.stringify({
        reason: ask.reason.value,
        // What was seen is what is approved.
        ...(verb === "approve" ? { step: Number(ask.dataset.step) } : {}),
      }),
    });
    const found = await answer.json();
    if (answer.ok && verb === "retry" && ended) { follow(ended); ended = ""; }
    told.value = answer.ok ? `Done: it is ${found.phase.replaceAll("_", " ")}.`
      : `Refused: ${found.detail} ${found.remedy || ""}`;
    if (answer.ok) ask.reason.value = "";
  } catch (error) {
    told.value = "The control plane did not answer; nothing is known to have changed.";
  }
  refresh();
}

if (ask) ask.addEventListener("submit", intervene);

const followed = new Set();
window.addEventListener("pagehide", () => { for (const events of followed) events.close(); });

function follow(url) {
  const events = new EventSource(url);
  followed.add(events);
  events.addEventListener("status", refresh);
  // What ended may be taken up again: the stream is asked for once more then.
  events.addEventListener("end", () => {
    events.close();
    followed.delete(events);
    ended = url;
    refresh();
  });
  events.addEventListener("error", () => { link.hidden = false; });
  events.addEventListener("open", () => { link.hidden = true; });
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refresh);
for (const { dataset } of fragments) {
  if (dataset.events) follow(dataset.events);
  if (dataset.every) setInterval(() => { if (!document.hidden) refresh(); }, Number(dataset.every));
}
if (figures.length) refresh();
