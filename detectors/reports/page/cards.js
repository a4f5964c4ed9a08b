// The grid: one page of cards at a time, so 10,000 images cost as much as 60.
const CARD_PIXELS = 240;

function stage(row, found, detection, pixels) {
  const made = element("span", { class: "stage" }); // spans: a button holds no blocks
  made.classList.toggle("sensitive", row.sensitive && !state.reveal && !report.blurred);
  if (found.picture) {
    const alt = found.original ? `Picture of ${row.id}` : `Overlay picture of ${row.id}`;
    made.append(element("img", { src: found.picture, alt, loading: "lazy", decoding: "async" }));
  }
  if (detection && detection.heat && (found.original || !found.picture)) made.append(heatCanvas(found, detection, pixels));
  else if (!found.picture) made.append(element("span", { class: "without" }, without(row, found)));
  if (!found.original && found.picture) made.append(element("span", { class: "tag" }, "original gone: overlay"));
  else if (!found.original && detection && detection.heat) made.append(element("span", { class: "tag" }, "original gone: heatmap"));
  return made;
}

function without(row, found) {
  if (row.status !== "ok") return `no picture: ${row.status}`;
  return found.missing ? `no picture: the original ${found.missing}` : "no picture";
}

function heatCanvas(found, detection, pixels) {
  const [width, height] = found.original ? found.size : [found.width, found.height];
  const scale = Math.min(1, pixels / Math.max(width, height));
  const canvas = element("canvas", {
    width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)),
    role: "img", "aria-label": `Heatmap of ${report.columns[detection.column].id}`,
  });
  drawHeat(canvas, detection.heat, table);
  return canvas;
}

// The worst answer of the detector that the card is about.
function shownDetection(row, found) {
  const own = found.detections.filter((one) => one.column === columnOf(row));
  const withHeat = found.detections.filter((one) => one.heat);
  const worst = own.reduce((best, one) => (best && best.score >= one.score ? best : one), null);
  return state.detector === "" && (!worst || !worst.heat) && withHeat.length ? withHeat[0] : worst;
}

function card(row, place) {
  const found = entry(row);
  const detection = shownDetection(row, found);
  const verdict = verdictOf(row);
  const score = scoreText(row);
  const label = `${row.id}, ${WORDS[verdict]}, score ${score}`;
  const open = element("button", { type: "button", class: "open", "aria-label": label, on: { click: () => openDetail(place) } },
    stage(row, found, detection, CARD_PIXELS),
    element("span", { class: "caption" },
      element("span", { class: "line1" },
        element("span", { class: "verdict", "data-verdict": verdict }, WORDS[verdict]),
        element("span", { class: "score" }, score)),
      element("span", { class: "name", title: row.id }, element("bdi", {}, row.id))));
  const mark = element("button", { type: "button", class: "mark", on: { click: () => { moveTo(place); toggleMark(row); } } });
  showMark(mark, row);
  return element("li", { class: "card", "data-number": row.number, "data-place": place }, open, mark);
}

function scoreText(row) {
  const cell = row.cells[columnOf(row)];
  if (!cell || cell[0] === null) return "no score";
  const whose = report.columns.length > 1 && lookedAt() === null ? `${report.columns[columnOf(row)].id} ` : "";
  return whose + number(cell[0]);
}

function showCards() {
  const first = state.page * PAGE_SIZE;
  const part = state.list.slice(first, first + PAGE_SIZE);
  byId("cards").replaceChildren(...part.map((row, i) => card(row, first + i)));
  byId("nothing").hidden = part.length > 0;
  byId("pager").hidden = pages() === 1;
  byId("previous-page").disabled = state.page === 0;
  byId("next-page").disabled = state.page === pages() - 1;
  showPages();
  const last = first + part.length;
  const range = pages() > 1 ? `${(first + 1).toLocaleString("en")} to ${last.toLocaleString("en")} of ` : "";
  byId("shown").textContent = `${range}${plural(state.list.length, "image")}`;
  showPlace(false);
}

function showPages() {
  const select = byId("page");
  if (select.options.length !== pages()) {
    select.replaceChildren(...Array.from({ length: pages() }, (_, i) =>
      element("option", { value: i }, `${i + 1} of ${pages()}`)));
  }
  select.value = state.page;
}

function showPlace(focus) {
  for (const item of byId("cards").children) item.classList.toggle("at", Number(item.dataset.place) === state.at);
  if (focus) focusPlace();
}

function focusPlace() {
  const item = byId("cards").querySelector(".at .open");
  if (item) item.focus();
}

function turnPage(page) {
  moveTo(Math.min(Math.max(page, 0), pages() - 1) * PAGE_SIZE);
  showCards();
  byId("images").scrollIntoView();
}

function step(by) {
  if (moveTo(state.at + by)) showCards();
  showPlace(true);
}

// Cards in a row, from where they lie.
function columnsShown() {
  const cards = [...byId("cards").children];
  const next = cards.findIndex((item) => item.offsetTop !== cards[0].offsetTop);
  return next < 0 ? cards.length : next;
}
