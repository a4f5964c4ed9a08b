// Small helpers. Data reaches the page as text only: there is no innerHTML anywhere.
const SVG = "http://www.w3.org/2000/svg";
const WORDS = { flag: "flagged", abstain: "abstained", error: "error", none: "not judged", pass: "passed" };
const byId = (id) => document.getElementById(id);
const json = (id) => JSON.parse(byId(id).textContent);
const capital = (text) => text[0].toUpperCase() + text.slice(1);
const plural = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") made.className = value;
    else if (key === "on") for (const [event, act] of Object.entries(value)) made.addEventListener(event, act);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function drawing(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

function number(value, digits = 4) {
  if (value === null || value === undefined) return "";
  const plain = value === 0 || (Math.abs(value) >= 1e-4 && Math.abs(value) < 1e6);
  return plain ? String(Number(value.toPrecision(digits))) : value.toExponential(digits - 2);
}
