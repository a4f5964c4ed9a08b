// Histograms: of a run by verdict, and of one score beside those of good images.
// What they are of: { id, unit, histogram }, a detector or all of them together.
const PLOT = { width: 480, height: 100 };

function bars(counts, most, base = null) {
  const step = PLOT.width / counts.length;
  return counts.flatMap((count, i) => {
    if (!count) return [];
    const height = Math.max((count / most) * PLOT.height, 2);
    const below = base ? base[i] : 0;
    if (base) base[i] += height;
    return [[i * step + 0.4, PLOT.height - below - height, step - 0.8, height]];
  });
}

function rectangles(shapes, name) {
  return shapes.map(([x, y, width, height]) => drawing("rect", { x, y, width, height, class: name }));
}

function outline(counts, most) {
  const step = PLOT.width / counts.length;
  const path = counts.map((count, i) => {
    const y = PLOT.height - (count / most) * PLOT.height;
    return `L${i * step} ${y}L${(i + 1) * step} ${y}`;
  });
  return drawing("path", {
    d: `M0 ${PLOT.height}${path.join("")}L${PLOT.width} ${PLOT.height}`,
    class: "good",
    "vector-effect": "non-scaling-stroke",
  });
}

function upright(value, histogram, name) {
  const share = (value - histogram.low) / (histogram.high - histogram.low);
  const x = Math.min(Math.max(share, 0), 1) * PLOT.width;
  return drawing("line", { x1: x, x2: x, y1: 0, y2: PLOT.height, class: name, "vector-effect": "non-scaling-stroke" });
}

function plot(label, shapes, { unit, histogram }) {
  const svg = drawing(
    "svg",
    { viewBox: `0 0 ${PLOT.width} ${PLOT.height}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    ...shapes,
    ...histogram.thresholds.map((value) => upright(value, histogram, "threshold")),
  );
  const axis = element("div", { class: "axis" },
    element("span", {}, number(histogram.low, 3)), element("span", {}, unit),
    element("span", {}, number(histogram.high, 3)));
  return element("figure", {}, element("div", { class: "chart" }, svg), axis);
}

function keyEntry(mark, text, verdict = null) {
  return element("span", { "data-verdict": verdict }, element("i", { class: mark }), text);
}

function runChart(subject) {
  const { id, unit, histogram } = subject;
  const verdicts = Object.keys(histogram.run);
  const totals = histogram.run[verdicts[0]].map((_, i) =>
    verdicts.reduce((sum, verdict) => sum + histogram.run[verdict][i], 0));
  const base = totals.map(() => 0);
  const most = Math.max(...totals) * 1.05;
  const order = ["pass", "none", "error", "abstain", "flag"].filter((verdict) => verdict in histogram.run);
  const shapes = order.flatMap((verdict) => rectangles(bars(histogram.run[verdict], most, base), verdict));
  if (histogram.good) shapes.push(outline(histogram.good, Math.max(...histogram.good)));
  const sum = (counts) => counts.reduce((a, b) => a + b, 0);
  const figure = plot(`Histogram of the ${unit}s of ${id}`, shapes, subject);
  figure.append(element("figcaption", { class: "key" },
    ...order.map((verdict) => keyEntry("", `${WORDS[verdict]} ${sum(histogram.run[verdict])}`, verdict)),
    histogram.good ? keyEntry("line", `shape of ${plural(sum(histogram.good), "good image")}`) : null,
    histogram.thresholds.length ? keyEntry("dash", `threshold ${histogram.thresholds.map((t) => number(t)).join(", ")}`) : null,
  ));
  return figure;
}

function scoreChart(subject, score) {
  const { id, unit, histogram } = subject;
  const counts = histogram.good || Object.values(histogram.run).reduce((a, b) => a.map((n, i) => n + b[i]));
  const n = counts.reduce((a, b) => a + b, 0);
  const what = histogram.good ? plural(n, "held-out good image") : `the ${plural(n, unit)} of this run`;
  const shapes = rectangles(bars(counts, Math.max(...counts) * 1.05), "goodfill");
  shapes.push(upright(score, histogram, "here"));
  const figure = plot(`${capital(unit)} ${number(score)} of ${id} beside ${what}`, shapes, subject);
  figure.append(element("figcaption", { class: "key" },
    keyEntry("here", "this image"), keyEntry("goodbox", what),
    histogram.thresholds.length ? keyEntry("dash", "threshold") : null));
  return figure;
}
