// Search, copying, and the contents: everything else on these pages works without a script.
"use strict";

const up = document.documentElement.dataset.up || "";

// ------------------------------------------------------------------ contents, open where there is room
const contents = document.querySelector(".toc details");
const room = matchMedia("(min-width: 70rem)");
if (contents) {
  const open = () => { contents.open = room.matches; };
  room.addEventListener("change", open);
  open();
}

// ------------------------------------------------------------------ copy
for (const block of document.querySelectorAll(".code")) {
  const button = document.createElement("button");
  button.className = "copy";
  button.type = "button";
  button.textContent = "Copy";
  button.setAttribute("aria-label", "Copy this code");
  button.addEventListener("click", async () => {
    const text = block.querySelector("pre").innerText;
    try {
      await navigator.clipboard.writeText(text);
    } catch {  // a page opened from a file has no clipboard in some browsers
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  block.append(button);
}

// ------------------------------------------------------------------ search
const field = document.querySelector("#search input");
const results = document.querySelector("#results");

function load() {  // a script, not fetch: pages opened from a file may not fetch
  if (document.querySelector("#index")) return;
  const script = document.createElement("script");
  script.id = "index";
  script.src = up + "search.js";
  script.addEventListener("load", show);
  document.head.append(script);
}

const plain = (text) => text.toLowerCase().normalize("NFKD").replace(/[\u0300-\u036f]/g, "");

function found(query) {
  const words = plain(query).split(/\s+/).filter(Boolean);
  if (!words.length || !window.SECTIONS) return [];
  const scored = [];
  for (const section of window.SECTIONS) {
    const [heading, page, text] = [section.heading, section.page, section.text].map(plain);
    let score = 0;
    for (const word of words) {
      const times = text.split(word).length - 1;
      if (!times && !heading.includes(word) && !page.includes(word)) { score = 0; break; }
      score += Math.min(times, 5) + 20 * heading.includes(word) + 2 * page.includes(word);
    }
    if (score) scored.push([score, section]);
  }
  return scored.sort((a, b) => b[0] - a[0]).slice(0, 12).map((pair) => pair[1]);
}

function excerpt(text, query) {  // of nodes, so that nothing in a page's text becomes markup
  const words = plain(query).split(/\s+/).filter((word) => word && plain(text).includes(word));
  const at = words.length ? plain(text).indexOf(words[0]) : 0;
  const from = at > 50 ? text.indexOf(" ", at - 50) + 1 : 0;
  const end = at + (words.length ? words[0].length : 0);
  const node = document.createElement("small");
  const hit = document.createElement("mark");
  hit.textContent = text.slice(at, end);
  node.append((from ? "… " : "") + text.slice(from, at), hit, text.slice(end, end + 90) + " …");
  return node;
}

function show() {
  results.replaceChildren();
  const query = field.value.trim();
  if (!query) return;
  const sections = found(query);
  for (const section of sections) {
    const link = document.createElement("a");
    link.href = up + section.url;
    const page = section.page === section.heading ? "" : ` · ${section.page}`;
    link.append(section.heading + page, excerpt(section.text, query));
    link.addEventListener("click", () => { results.replaceChildren(); });
    const item = document.createElement("li");
    item.append(link);
    results.append(item);
  }
  if (!sections.length && window.SECTIONS) {
    const item = document.createElement("li");
    item.className = "none";
    item.textContent = "Nothing found; each word must stand in the same section.";
    results.append(item);
  }
}

if (field) {
  field.parentElement.hidden = false;  // without scripts there is no search, and no field for it
  field.addEventListener("focus", load);
  field.addEventListener("input", () => { load(); show(); });
  document.addEventListener("keydown", (event) => {
    const links = [...results.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    if (event.key === "/" && !/input|textarea/i.test(document.activeElement.tagName)) {
      event.preventDefault();
      field.focus();
    } else if (event.key === "Escape" && (results.children.length || document.activeElement === field)) {
      results.replaceChildren();
      field.focus();
      field.select();
    } else if (links.length && (event.key === "ArrowDown" || event.key === "ArrowUp")
        && (at >= 0 || document.activeElement === field)) {
      event.preventDefault();
      const next = at + (event.key === "ArrowDown" ? 1 : -1);
      (links[next] || field).focus();
    } else if (event.key === "Enter" && document.activeElement === field && links.length) {
      links[0].click();
    }
  });
  document.addEventListener("click", (event) => {
    if (!field.parentElement.contains(event.target)) results.replaceChildren();
  });
}
