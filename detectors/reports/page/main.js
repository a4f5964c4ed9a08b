let lastHeat = 70;

function refresh() {
  refilter();
  showTiles();
  showRamp();
  byId("only-marked").setAttribute("aria-pressed", state.onlyMarked);
  showCards();
}

function setHeat(value) {
  if (value > 0) lastHeat = value;
  document.documentElement.style.setProperty("--heat", value / 100);
  for (const name of ["opacity", "detail-opacity"]) {
    byId(name).value = value;
    byId(`${name}-shown`).textContent = `${value} %`;
  }
}

function toggleHeat() {
  setHeat(Number(byId("opacity").value) > 0 ? 0 : lastHeat);
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function showTheme() {
  byId("theme-name").textContent = isDark() ? "Light" : "Dark";
}

function toggleTheme() {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  showTheme();
}

function openHelp() {
  byId("help").showModal();
}

function reveal() {
  state.reveal = !state.reveal;
  byId("reveal").setAttribute("aria-pressed", state.reveal);
  for (const item of document.querySelectorAll(".card")) {
    item.querySelector(".stage").classList.toggle("sensitive", rows[item.dataset.number].sensitive && !state.reveal);
  }
}

function listen() {
  const on = (id, event, act) => byId(id).addEventListener(event, act);
  on("search", "input", (event) => { state.search = event.target.value.trim().toLowerCase(); refresh(); });
  on("detector", "change", (event) => { state.detector = event.target.value; refresh(); });
  on("order", "change", (event) => { state.order = event.target.value; refresh(); });
  on("opacity", "input", (event) => setHeat(Number(event.target.value)));
  on("detail-opacity", "input", (event) => setHeat(Number(event.target.value)));
  on("detail-regions", "change", showRegions);
  on("only-marked", "click", () => { state.onlyMarked = !state.onlyMarked; refresh(); });
  on("download", "click", downloadMarks);
  on("copy", "click", copyMarks);
  on("clear-marks", "click", clearMarks);
  on("reveal", "click", reveal);
  on("reset", "click", showAll);
  on("previous-page", "click", () => turnPage(state.page - 1));
  on("next-page", "click", () => turnPage(state.page + 1));
  on("page", "change", (event) => turnPage(Number(event.target.value)));
  on("more-failures", "click", () => { failuresShown += FAILURES_SHOWN; showFailures(); });
  on("theme", "click", toggleTheme);
  on("help-button", "click", openHelp);
  on("help-close", "click", () => byId("help").close());
  on("detail-mark", "click", () => toggleMark(current()));
  on("detail-previous", "click", () => stepDetail(-1));
  on("detail-next", "click", () => stepDetail(1));
  on("detail-close", "click", closeDetail);
  on("detail", "close", focusPlace);
  document.addEventListener("keydown", onKey);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
}

function start() {
  fillSelects();
  listen();
  drawRamp(byId("ramp-canvas"), table);
  setHeat(lastHeat);
  showTheme();
  showCharts();
  showFailures();
  showMissing();
  byId("reveal").hidden = report.blurred || !rows.some((row) => row.sensitive);
  refresh();
  showMarks();
  byId("loading").hidden = true;
  document.documentElement.dataset.ready = "true";
  performance.mark("ready");
}

start();
