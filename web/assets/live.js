// Puts events on top of the list as they come in. What is told is text, and is shown as text.
"use strict";

// Rows that stay: what a browser lays out without effort.
const MOST = 500;
// Names that are remembered: more than a stream tells again when it is made anew.
const KNOWN = 20000;
// After which time it is tried again where the server had no room.
const AGAIN_MS = 10000;

const list = document.getElementById("events");
const state = document.getElementById("live-state");
const button = document.getElementById("live-switch");
const shown = new Set(Array.from(list.rows, (row) => row.dataset.key));
let source = null;

function add(event) {
  if (shown.has(event.key)) {
    return;
  }
  shown.add(event.key);
  if (shown.size > KNOWN) {
    shown.delete(shown.values().next().value);
  }
  const row = document.getElementById("event").content.firstElementChild.cloneNode(true);
  row.dataset.key = event.key;
  row.className = "new";
  const [when, kind, node, place, binary, arch, why] = row.cells;
  const time = when.firstElementChild;
  time.dateTime = time.title = event.utc;
  time.textContent = event.utc.replace(/^.*T|\..*$|Z$/g, "");
  link(node.firstElementChild, event.node, event.node_link);
  link(place.firstElementChild, event.place, event.place_link);
  kind.firstElementChild.classList.add(event.class);
  kind.firstElementChild.textContent = event.kind;
  binary.firstElementChild.textContent = event.binary;
  arch.textContent = event.arch;
  why.textContent = event.why;
  list.prepend(row);
  document.getElementById("no-events").hidden = true;
  while (list.rows.length > MOST) {
    list.lastElementChild.remove();
  }
}

function link(element, name, address) {
  element.textContent = name;
  if (address) {
    element.href = address;
  }
}

function connect() {
  source = new EventSource(list.dataset.live);
  source.onopen = () => tell("live: new events come on top");
  source.onmessage = (message) => add(JSON.parse(message.data));
  source.addEventListener("skipped", () => tell("some events came too fast; load the page again to see them"));
  source.onerror = () => {
    tell("no connection at the moment; trying again");
    if (source.readyState === EventSource.CLOSED) {
      setTimeout(() => source && connect(), AGAIN_MS);
    }
  };
}

function tell(text) {
  if (state.textContent !== text) {
    state.textContent = text;
  }
}

button.addEventListener("click", () => {
  if (!source) {
    location.reload();
    return;
  }
  source.close();
  source = null;
  button.textContent = "Go on";
  tell("paused");
});

button.parentElement.hidden = false;
connect();
