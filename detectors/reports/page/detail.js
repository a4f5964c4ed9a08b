// One image: large, with everything that its record says.
const DETAIL_PIXELS = 512;
let shownFinding = 0;

function openDetail(place) {
  if (moveTo(place)) showCards();
  showPlace(false);
  showDetail();
  if (!byId("detail").open) byId("detail").showModal();
}

function closeDetail() {
  byId("detail").close();
}

function stepDetail(by) {
  const turned = moveTo(state.at + by);
  if (turned) showCards();
  showPlace(false);
  showDetail();
}

function showDetail() {
  const row = current();
  const found = entry(row);
  const first = found.detections.indexOf(shownDetection(row, found));
  shownFinding = Math.max(first, 0);
  byId("detail-id").textContent = row.id;
  byId("detail-place").textContent = `${(state.at + 1).toLocaleString("en")} of ${plural(state.list.length, "image")}`;
  byId("detail-previous").disabled = state.at === 0;
  byId("detail-next").disabled = state.at === state.list.length - 1;
  showMark(byId("detail-mark"), row);
  byId("detail-missing").textContent = missingText(found);
  byId("detail-facts").replaceChildren(...facts(row, found));
  byId("detail-facts").scrollTop = 0;
  showStage(row, found);
}

function missingText(found) {
  if (!found.missing || found.width === null) return "";
  const left = found.picture ? "this is the overlay that the run drew" : "no picture of it is left";
  return `The original ${found.missing}; ${left}.`;
}

function showStage(row, found) {
  const detection = found.detections[shownFinding];
  const made = stage(row, found, detection, DETAIL_PIXELS);
  if (detection && detection.regions.length && (found.original || !found.picture)) made.append(regionBoxes(found, detection));
  byId("detail-stage").replaceChildren(made);
  showRegions();
  [...byId("detail-facts").querySelectorAll(".finding:not(.combined)")].forEach((finding, i) =>
    finding.classList.toggle("shown", i === shownFinding && found.detections.length > 1));
}

function regionBoxes(found, detection) {
  const boxes = detection.regions.map(([x0, y0, x1, y1]) =>
    drawing("rect", { x: x0, y: y0, width: x1 - x0, height: y1 - y0 }));
  return drawing("svg", {
    viewBox: `0 0 ${found.width} ${found.height}`, class: "regions", role: "img",
    "aria-label": plural(detection.allRegions, "region"),
  }, ...boxes);
}

function showRegions() {
  const boxes = byId("detail-stage").querySelector(".regions");
  if (boxes) boxes.style.visibility = byId("detail-regions").checked ? "visible" : "hidden";
}

function facts(row, found) {
  const reasons = found.reasons.map((reason) => element("li", {}, reason));
  return [
    element("p", { class: "finding-head" },
      element("span", { class: "verdict", "data-verdict": row.verdict }, WORDS[row.verdict]),
      element("span", { class: "quiet" }, row.status === "ok" ? "" : row.status)),
    reasons.length ? element("ul", { class: "reasons" }, ...reasons) : null,
    combinedFinding(found.combined),
    ...found.detections.map((one, i) => finding(row, found, one, i)),
    element("details", { open: found.detections.length ? false : "" },
      element("summary", {}, "Image"), pairs(found.facts)),
  ].filter((part) => part !== null);
}

function pairs(list) {
  return element("dl", {}, ...list.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

function finding(row, found, one, place) {
  const column = report.columns[one.column];
  const verdict = one.status === "error" ? "error" : one.verdict || "none";
  const choose = one.heat && found.detections.filter((other) => other.heat).length > 1
    ? element("button", { type: "button", on: { click: () => { shownFinding = place; showStage(row, found); } } }, "Show heatmap")
    : null;
  return element("section", { class: "finding", "aria-label": column.id },
    element("div", { class: "finding-head" },
      element("h3", {}, column.id, element("span", { class: "quiet" }, ` ${column.task}`)),
      verdict === "none" && weighed(found, one) ? null : element("span", { class: "verdict", "data-verdict": verdict }, WORDS[verdict]),
      choose),
    one.query ? element("p", { class: "quiet" }, one.query) : null,
    one.score === null ? null : element("p", {}, element("span", { class: "big" }, number(one.score)),
      one.p === null ? "" : element("span", { class: "quiet" }, `  p = ${number(one.p, 3)}`)),
    one.score === null || !column.histogram ? null : scoreChart(column, one.score),
    thresholdText(row, found, one),
    one.error ? element("p", {}, one.error) : null,
    heatText(one, column),
    regionTable(one),
    one.details.length || one.domain ? element("details", { open: "" }, element("summary", {}, "Details"),
      pairs(one.domain ? [...one.details, ["domain gate", `${number(one.domain[0])}, limit ${number(one.domain[1])}`]] : one.details)) : null);
}

// How detectors are combined, and what each of them adds.
const TOGETHER = {
  any: ["any of them is enough", "standardised score"],
  all: ["all of them must exceed it", "standardised score"],
  weighted: ["weighted p-values", "evidence (−ln p)"],
};

function combinedFinding(combined) {
  if (combined === null) return null;
  const [how, part] = TOGETHER[combined.combination];
  const lines = combined.terms.map(([name, value]) =>
    element("tr", {}, element("td", {}, name), element("td", { class: "n" }, number(value))));
  return element("section", { class: "finding combined", "aria-label": "Detectors together" },
    element("div", { class: "finding-head" },
      element("h3", {}, "Together", element("span", { class: "quiet" }, ` ${how}`))),
    element("p", {}, element("span", { class: "big" }, number(combined.value)),
      element("span", { class: "quiet" }, `  p = ${number(combined.p, 3)}`)),
    scoreChart(together, combined.value),
    element("p", { class: "quiet" }, thresholdWords(combined.threshold)),
    element("table", {},
      element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "detector"),
        element("th", { scope: "col", class: "n" }, part))),
      element("tbody", {}, ...lines)));
}

function thresholdWords(place) {
  const threshold = report.thresholds[place];
  const promise = threshold.rate === null ? "" : ` Promised rate ${number(100 * threshold.rate)} %, n = ${threshold.n}.`;
  return `Threshold ${number(threshold.value)}: ${threshold.origin}.${promise}`;
}

function thresholdText(row, found, one) {
  if (one.score === null) return element("p", { class: "quiet" }, one.status === "ok" ? "" : one.status.replace("_", " "));
  if (one.threshold === null) {
    return element("p", { class: "quiet" }, row.verdict === "none" ? "No threshold: fit a recipe with detect fit." : withoutThreshold(found, one));
  }
  return element("p", { class: "quiet" }, thresholdWords(one.threshold));
}

// Such a detector is judged together with the others only.
function weighed(found, one) {
  const combined = found.combined;
  return combined !== null && combined.combination === "weighted"
    && combined.terms.some(([name]) => name === report.columns[one.column].id);
}

function withoutThreshold(found, one) {
  return weighed(found, one) ? "No threshold of its own: the verdict is by the weighted p-values." : "No threshold of its own.";
}

function heatText(one, column) {
  if (!one.heat) return null;
  return element("p", { class: "quiet" }, `Heatmap from ${number(column.span[0], 3)} to ${number(column.span[1], 3)}, the same for every image.`);
}

function regionTable(one) {
  if (!one.regions.length) return null;
  const lines = one.regions.map(([x0, y0, x1, y1, area, peak]) => element("tr", {},
    element("td", {}, `${x0}, ${y0} to ${x1}, ${y1}`), element("td", { class: "n" }, String(area)),
    element("td", { class: "n" }, number(peak))));
  const more = one.allRegions - one.regions.length;
  return element("div", {}, element("table", {},
    element("thead", {}, element("tr", {}, element("th", { scope: "col" }, plural(one.allRegions, "region")),
      element("th", { scope: "col", class: "n" }, "area"), element("th", { scope: "col", class: "n" }, "peak"))),
    element("tbody", {}, ...lines)), more > 0 ? element("p", { class: "quiet" }, `and ${more} more`) : "");
}
