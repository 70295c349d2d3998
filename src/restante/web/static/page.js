// The page goes on by itself: links replace regions, and events bring what is new.
// Everything but removing mail and switching faults works without this script, too.

const token = meta("restante-token");
const shown = new Map(); // the HTML of each region as the server sent it
const lists = "[data-list] a";
const silent = "the server does not answer";
const narrow = matchMedia("(max-width: 999px)");
const labels = new Map(); // the HTML of each button that says "Copied" for a moment
let visit = 0;
let going = Promise.resolve(); // the last visit of a person
let whole = false; // whether the next answer must replace everything, for something was missed
let refreshing = false;
let late = false; // whether something happened since the last request

for (const region of regions()) shown.set(region.id, region.innerHTML);
follow();
scrollDown();

// --- from page to page

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='/']");
  if (!link || link.hasAttribute("download") || link.target) return;
  if (event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(link.href);
});

document.querySelector(".search").addEventListener("submit", (event) => {
  event.preventDefault();
  const query = new URLSearchParams(new FormData(event.target));
  go(`/?${query}`);
});

addEventListener("popstate", () => load(location.href, true));
addEventListener("pageshow", (event) => event.persisted && location.reload()); // its events ended

async function go(url) {
  history.pushState(null, "", url);
  await load(url, true);
  if (!narrow.matches) return;
  const heading = { message: "subject", session: "session-name" }[document.body.dataset.show];
  if (heading) document.getElementById(heading)?.focus();
}

function load(url, everything) {
  const visible = show(url, everything);
  if (everything) going = visible;
  return visible;
}

async function show(url, everything) {
  const mine = ++visit;
  whole ||= everything;
  const answer = await fetch(url).catch(() => null);
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (mine !== visit) return;
  if (meta("restante-token", page) !== token) return location.reload(); // the server is a new one
  everything = whole;
  whole = false;
  if (everything) {
    document.title = page.title;
    document.body.dataset.show = page.body.dataset.show;
    for (const place of [".panes", ".search"]) swap(place, page);
  }
  for (const region of regions()) {
    const fresh = page.getElementById(region.id);
    if (!fresh || shown.get(region.id) === fresh.innerHTML) continue;
    const same = fresh.dataset.session === region.dataset.session;
    if (region.id === "session-lines" && same && !everything) continue; // events bring its lines
    replace(region, fresh);
  }
}

function swap(place, page) {
  const [here, fresh] = [document.querySelector(place), page.querySelector(place)];
  if (!here || !fresh) return;
  if (place === ".search") document.getElementById("q").value = page.getElementById("q").value;
  for (const name of place === ".search" ? ["mailbox", "session", "show"] : []) {
    here.querySelector(`[type=hidden][name=${name}]`)?.remove();
    const hidden = fresh.querySelector(`[type=hidden][name=${name}]`);
    if (hidden) here.append(hidden);
  }
  if (place !== ".search") {
    keepFocus(here, () => here.replaceChildren(...fresh.childNodes));
    for (const region of here.querySelectorAll("[data-region]")) shown.set(region.id, region.innerHTML);
  }
}

function replace(region, fresh) {
  const known = new Set([...region.querySelectorAll("[data-id]")].map((row) => row.dataset.id));
  shown.set(region.id, fresh.innerHTML);
  keepFocus(region, () => region.replaceChildren(...fresh.childNodes));
  for (const name of Object.keys(fresh.dataset)) region.dataset[name] = fresh.dataset[name];
  if (region.id === "messages" && known.size) {
    for (const row of region.querySelectorAll("[data-id]")) {
      if (!known.has(row.dataset.id)) row.classList.add("arrived");
    }
  }
  if (region.id === "session-lines") scrollDown();
}

// The focus goes to the element with the same id, and else to the one in the same place.
function keepFocus(place, change) {
  const focused = document.activeElement;
  const index = reachable(place).indexOf(focused);
  change();
  if (index < 0) return;
  const left = reachable(place);
  const same = focused.id && document.getElementById(focused.id);
  (same || left[Math.min(index, left.length - 1)])?.focus({ preventScroll: true });
}

// --- what is new

function follow() {
  const events = new EventSource(`/api/events?after=${meta("restante-event")}`);
  let opened = false;
  events.onopen = () => {
    connection("live", "live");
    if (opened) refresh();
    opened = true;
  };
  events.onerror = () => {
    connection("lost", "not connected");
    if (events.readyState === EventSource.CLOSED) setTimeout(follow, 3000);
  };
  for (const kind of ["delivered", "fetched", "marked", "removed", "tagged", "session", "faults"]) {
    events.addEventListener(kind, refresh);
  }
  events.addEventListener("delivered", (event) => {
    say(`New message for ${JSON.parse(event.data).mailbox}`);
  });
  events.addEventListener("line", (event) => addLine(JSON.parse(event.data)));
  addEventListener("pagehide", () => events.close());
}

async function refresh() {
  late = true;
  if (refreshing) return;
  refreshing = true;
  while (late) {
    await new Promise((resolve) => setTimeout(resolve, 120));
    await going; // a visit shows what is new, too, and must not be overtaken
    late = false;
    await load(location.href, false);
  }
  refreshing = false;
}

function addLine(line) {
  const list = document.getElementById("session-lines");
  if (list.dataset.session !== String(line.session)) return;
  const last = Number(list.lastElementChild?.dataset.number ?? 0);
  if (line.number <= last) return;
  if (line.number > last + 1) {
    whole = true; // some were missed
    return refresh();
  }
  const item = document.getElementById("line-template").content.firstElementChild.cloneNode(true);
  const [time, sender, text] = item.children;
  const refusal = list.dataset.protocol === "SMTP" ? /^[45]/ : /^-ERR/;
  const refused = line.sender === "S" && refusal.test(line.text);
  item.classList.add({ C: "client", S: "server" }[line.sender] ?? "remark");
  item.classList.toggle("refused", refused);
  item.dataset.number = line.number;
  const moment = new Date(line.time);
  time.dateTime = line.time;
  const pad = (number, width) => String(number).padStart(width, "0");
  time.textContent = [moment.getHours(), moment.getMinutes(), moment.getSeconds()]
    .map((part) => pad(part, 2)).join(":") + "." + pad(moment.getMilliseconds(), 3);
  sender.textContent = line.sender;
  text.textContent = line.text;
  if (line.message && line.sender === "C") item.append(messageLink(line.message));
  const near = isNearEnd();
  list.append(item);
  if (near) scrollDown();
}

function messageLink(uid) {
  const url = new URL(location);
  url.searchParams.set("message", uid);
  url.searchParams.set("show", "message");
  const link = document.createElement("a");
  link.href = url.pathname + url.search;
  link.textContent = "show";
  link.ariaLabel = `Show message ${uid}`;
  return link;
}

function isNearEnd() {
  const body = document.getElementById("session-body");
  return body.scrollHeight - body.scrollTop - body.clientHeight < 80;
}

function scrollDown() {
  const body = document.getElementById("session-body");
  body.scrollTop = body.scrollHeight;
}

// --- what a person changes

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const data = button.dataset;
  if (data.copy !== undefined) copy(data.copy, button);
  if (data.copyLines !== undefined) copy(transcript(), button);
  if (data.remove !== undefined) remove(data.remove);
  if (data.removeAll !== undefined) removeAll(data);
  if (data.faultOff !== undefined) {
    await setFaults(data.mailbox, (on) => on.filter((one) => one !== data.faultOff));
    refocus("fault");
  }
});

document.getElementById("fault-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = document.getElementById("fault");
  const wanted = field.value.trim();
  const mailbox = document.getElementById("fault-mailbox").value.trim();
  const add = (on) => [...on.filter((one) => one !== wanted), wanted];
  if (wanted && (await setFaults(mailbox, add))) field.value = "";
});

async function remove(id) {
  const row = document.querySelector(`[data-id="${CSS.escape(id)}"]`)?.closest("li");
  const next = row?.nextElementSibling ?? row?.previousElementSibling;
  if (!isRemoved(await change("DELETE", `/api/messages/${encodeURIComponent(id)}`))) return;
  say("Removed");
  const link = next?.querySelector("a");
  if (link && !narrow.matches) {
    await go(link.href);
    document.getElementById(link.id)?.focus();
  } else {
    const url = new URL(location);
    url.searchParams.delete("message");
    url.searchParams.set("show", "mail");
    await go(url.href);
  }
}

async function removeAll(data) {
  const many = Number(data.count) === 1 ? "this message" : `these ${data.count} messages`;
  if (!confirm(`Remove ${many} permanently?`)) return;
  const query = new URLSearchParams({ q: data.removeAll, mailbox: data.mailbox, until: data.until });
  const answer = await change("DELETE", `/api/messages?${query}`);
  if (isRemoved(answer)) say(`Removed ${answer.removed}`);
  refocus("messages");
}

function isRemoved(answer) {
  if (answer?.removed !== undefined) return true;
  alert(`Not removed: ${answer?.error ?? silent}`);
  return false;
}

async function setFaults(mailbox, chosen) {
  const error = document.getElementById("fault-error");
  error.textContent = "";
  const now = await fetch("/api/faults").then((answer) => answer.json()).catch(() => null);
  const on = now && (mailbox ? (now.mailboxes[mailbox.toLowerCase()] ?? []) : now.on);
  const answer = on && (await change("PUT", "/api/faults", { on: chosen(on), mailbox }));
  if (!answer || answer.error) error.textContent = answer?.error ?? `Not changed: ${silent}`;
  return answer && !answer.error;
}

async function change(method, url, body) {
  const answer = await fetch(url, {
    method,
    headers: { "X-Restante-Token": token, "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  }).catch(() => null);
  if (answer?.status === 403) location.reload(); // the server is a new one
  const value = await answer?.json().catch(() => null);
  await load(location.href, true);
  return value;
}

async function copy(text, button) {
  if (!labels.has(button)) labels.set(button, button.innerHTML);
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
    say("Copied");
  } catch {
    button.textContent = "Not copied";
  }
  setTimeout(() => {
    if (labels.has(button)) button.innerHTML = labels.get(button);
    labels.delete(button);
  }, 1200);
}

function transcript() {
  const lines = document.querySelectorAll("#session-lines .line");
  return [...lines].map((line) => `${line.children[1].textContent}: ${line.children[2].textContent}\n`).join("");
}

// --- the keyboard

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "k") {
    event.preventDefault();
    document.getElementById("q").select();
    document.getElementById("q").focus();
    return;
  }
  const link = event.target.closest?.(lists);
  if (!link || event.ctrlKey || event.metaKey || event.altKey) return;
  const all = [...link.closest("[data-list]").querySelectorAll("a")];
  const place = all.indexOf(link);
  const wanted = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: all.length - 1 }[event.key];
  if (wanted !== undefined) {
    event.preventDefault();
    all[Math.max(0, Math.min(wanted, all.length - 1))].focus();
  } else if (event.key === "Delete" && link.dataset.id) {
    event.preventDefault();
    remove(link.dataset.id);
  }
});

// --- small things

function regions() {
  return document.querySelectorAll("[data-region]");
}

function reachable(place) {
  return [...place.querySelectorAll("a[href], button, [tabindex]")];
}

// A person at the keyboard does not begin at the top again, if what had the focus is gone.
function refocus(id) {
  if (document.activeElement === document.body) document.getElementById(id).focus();
}

function meta(name, page = document) {
  return page.querySelector(`meta[name="${name}"]`)?.content ?? "";
}

function connection(state, text) {
  const place = document.getElementById("connection");
  place.dataset.state = state;
  place.querySelector("b").textContent = text;
}

function say(text) {
  document.getElementById("said").textContent = text;
}
