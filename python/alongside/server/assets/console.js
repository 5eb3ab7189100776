// Keep the page true: ask for the state once a second and put it in, always as text.
"use strict";

const SILENT = "The supervisor does not answer; what stands here is old.";
const REFUSED = "This address lacks its token, or the token of an earlier supervisor; alongside up and alongside status say the whole address.";
const PERIOD_MS = 1000;
const LOG_LENGTH_MAX = 200000;
const STYLES = { ready: "good", running: "good", succeeded: "good", ended: "", starting: "wait", unready: "wait", stopping: "wait", waiting: "bad", failed: "bad" };
// The token came behind the #, which no server hears of; it stays in this page's own store.
const KEY = "token";
if (location.hash.length > 1) {
  sessionStorage.setItem(KEY, location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
}
const QUESTION = { headers: { authorization: `Bearer ${sessionStorage.getItem(KEY) ?? ""}` } };
const chosen = { name: "", offset: null };

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = String(text);
  if (className) made.className = className;
  return made;
}

function cell(content, className) {
  const made = element("td", undefined, className);
  made.append(content instanceof Node ? content : document.createTextNode(content ?? ""));
  return made;
}

function state(word) {
  return element("span", word, `state ${STYLES[word] ?? ""}`);
}

function logButton(name, label) {
  const made = element("button", label, "link");
  made.type = "button";
  made.setAttribute("aria-label", `Show the log of ${name}`);
  made.addEventListener("click", () => choose(name));
  return made;
}

function heading(content, className) {
  const made = element("th", undefined, className);
  made.scope = "row";
  made.append(content);
  return made;
}

function since(seconds) {
  if (seconds === undefined || seconds === null) return "";
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h`;
}

function processRows(one) {
  const containers = one.containers ?? [];
  const row = element("tr");
  const label = containers.length > 1 ? document.createTextNode(one.name) : logButton(one.name, one.name);
  row.append(heading(label), cell(containers.length ? "pod" : one.role), cell(state(one.state)), cell(one.restarts, "number"));
  row.append(cell(since(one.since_s), "number"), cell(one.address ?? ""), cell(one.reason, "wide"));
  const rows = [row];
  if (containers.length > 1) {
    for (const container of containers) {
      const inner = element("tr", undefined, "inner");
      const name = `${one.name}/${container.name}`;
      inner.append(heading(logButton(name, container.name)), cell(container.kind ?? ""), cell(state(container.state)));
      inner.append(cell(container.restarts, "number"), cell(since(container.since_s), "number"), cell(""), cell(container.reason, "wide"));
      rows.push(inner);
    }
  }
  return rows;
}

// Rows are made anew only where something changed, so that focus and selection stay.
function fill(id, rows) {
  const body = document.getElementById(id);
  const focused = body.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
  body.replaceChildren(...rows);
  if (focused) [...body.querySelectorAll("button")].find((one) => one.getAttribute("aria-label") === focused)?.focus();
}

let shown = "";

function show(found) {
  const wanted = document.getElementById("filter").value.trim().toLowerCase();
  const text = JSON.stringify([found, wanted]);
  if (text === shown) return;
  shown = text;
  document.title = `${found.project} - alongside`;
  document.getElementById("project").textContent = found.project;
  document.getElementById("place").textContent = found.folder;
  const processes = found.processes.filter((one) => one.name.toLowerCase().includes(wanted));
  fill("processes", processes.flatMap(processRows));
  document.getElementById("count").textContent = `${processes.length} of ${found.processes.length} shown`;
  const services = Object.entries(found.services ?? {}).flatMap(([name, ports]) => Object.entries(ports).map(([port, address]) => {
    const row = element("tr");
    row.append(heading(document.createTextNode(name)), cell(port, "number"), cell(address));
    return row;
  }));
  fill("services", services);
  document.getElementById("services-part").hidden = services.length === 0;
  const pools = (found.pools ?? []).map((one) => ({...one, origin: one.protocol, shards: one.servers, hit_ratio: null}));
  const caches = [...found.caches, ...pools];
  fill("caches", caches.map((one) => {
    const row = element("tr");
    row.append(heading(document.createTextNode(one.name)), cell(one.address ?? ""), cell(one.origin), cell(one.shards.length, "number"));
    row.append(cell(one.requests_per_s?.toFixed(1) ?? "", "number"), cell(one.hit_ratio === null ? "" : `${(100 * one.hit_ratio).toFixed(1)} %`, "number"));
    return row;
  }));
  document.getElementById("caches-part").hidden = caches.length === 0;
  const warnings = document.getElementById("warnings");
  warnings.replaceChildren(...found.warnings.map((one) => element("p", one, "notice")));
  const ready = found.processes.filter((one) => one.state === "ready" || (one.state === "ended" && one.phase !== "Failed")).length;
  document.getElementById("ready").textContent = ready;
  document.getElementById("all").textContent = found.processes.length;
  document.getElementById("restarts").textContent = found.processes.reduce((sum, one) => sum + one.restarts, 0);
  const word = document.getElementById("word");
  const summary = found.ready ? "all is ready" : "not all is ready";
  if (word.textContent !== summary) word.textContent = summary;
  word.className = `state ${found.ready ? "good" : "wait"}`;
}

function choose(name) {
  chosen.name = name;
  chosen.offset = null;
  document.getElementById("log-part").hidden = false;
  document.getElementById("log-title").textContent = `Log of ${name}`;
  document.getElementById("log").textContent = "";
  document.getElementById("log-title").focus();
  readLog();
}

async function readLog() {
  if (!chosen.name) return;
  const name = chosen.name;
  const offset = chosen.offset === null ? "" : `&offset=${chosen.offset}`;
  const answer = await fetch(`/log?name=${encodeURIComponent(name)}${offset}`, QUESTION);
  if (!answer.ok || name !== chosen.name) return;
  const found = await answer.json();
  chosen.offset = found.offset;
  if (!found.text) return;
  const log = document.getElementById("log");
  const isAtEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
  log.textContent = (log.textContent + found.text).slice(-LOG_LENGTH_MAX);
  if (isAtEnd) log.scrollTop = log.scrollHeight;
}

let last = null;

async function turn() {
  const lost = document.getElementById("lost");
  try {
    const answer = await fetch("/state", QUESTION);
    if (!answer.ok) throw new Error(answer.status === 403 ? REFUSED : SILENT);
    last = await answer.json();
    show(last);
    await readLog();
    lost.hidden = true;
  } catch (error) {
    lost.textContent = error.message === REFUSED ? REFUSED : SILENT;
    lost.hidden = false;
  }
  setTimeout(turn, PERIOD_MS);
}

document.getElementById("filter").addEventListener("input", () => last && show(last));
turn();
