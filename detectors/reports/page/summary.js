// The top of the page and the list of failures.
const FAILURES_SHOWN = 50;
let failuresShown = FAILURES_SHOWN;

function showTiles() {
  const found = counts();
  const names = ["all", "flag", "abstain", "error", "none", "pass"];
  const words = { ...WORDS, all: "all", error: found.error === 1 ? "error" : "errors" };
  const shown = names.filter((name) => name === "all" || found[name] > 0 || name === state.verdict);
  byId("tiles").replaceChildren(...shown.map((name) => element("button", {
    type: "button", class: "tile", "data-verdict": name, "aria-pressed": state.verdict === name,
    on: { click: () => { state.verdict = state.verdict === name ? "all" : name; refresh(); } },
  }, element("b", {}, found[name].toLocaleString("en")), element("span", {}, words[name]))));
}

function showCharts() {
  const made = report.columns.filter((column) => column.histogram).map((column) =>
    chartCard(column.id, `${column.task}, version ${column.version}`, column));
  if (together) made.unshift(chartCard("Together", `${together.detectors.join(", ")}: ${TOGETHER[together.combination][0]}`, together));
  byId("charts").replaceChildren(...made);
}

function chartCard(title, about, subject) {
  return element("div", { class: "chart-card" },
    element("div", { class: "chart-head" }, element("h3", {}, title), element("span", { class: "quiet" }, about)),
    runChart(subject));
}

function failures() {
  return rows.filter((row) => row.status !== "ok" || Object.values(row.cells).some((cell) => cell[3] === "error"));
}

function showFailures() {
  const found = failures();
  byId("failures").hidden = byId("to-failures").hidden = found.length === 0;
  byId("failure-count").textContent = plural(found.length, "image");
  byId("more-failures").hidden = found.length <= failuresShown;
  byId("failure-rows").replaceChildren(...found.slice(0, failuresShown).map((row) => element("tr", {},
    element("td", {}, element("button", { type: "button", on: { click: () => openFailure(row) } }, row.id)),
    element("td", {}, row.status === "ok" ? "detector error" : row.status),
    element("td", {}, row.text))));
}

function openFailure(row) {
  showAll();
  openDetail(state.list.indexOf(row));
}

function showAll() {
  Object.assign(state, { verdict: "all", detector: "", search: "", onlyMarked: false });
  byId("search").value = "";
  byId("detector").value = "";
  refresh();
}

function fillSelects() {
  const option = (value, text) => element("option", { value }, text);
  byId("detector").replaceChildren(option("", "all"), ...report.columns.map((column, i) => option(i, column.id)));
  byId("order").replaceChildren(option("worst", "worst first"),
    ...report.columns.map((column, i) => option(`score:${i}`, `highest ${column.id}`)), option("name", "name"));
}

function showRamp() {
  const drawn = report.columns.filter((column, i) => column.span && (lookedAt() ?? i) === i);
  byId("ramp").hidden = drawn.length === 0;
  if (drawn.length === 0) return;
  const ends = drawn.length === 1 ? drawn[0].span.map((end) => number(end, 3)) : ["low", "high"];
  [byId("ramp-low").textContent, byId("ramp-high").textContent] = ends;
}

function showMissing() {
  const missing = json("missing");
  byId("missing-notice").hidden = missing === 0;
  const left = "their overlays or heatmaps are shown if the run kept them";
  byId("missing-notice").textContent = `The originals of ${plural(missing, "image")} are gone or have changed: ${left}.`;
}
