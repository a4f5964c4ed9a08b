// What is looked at: the filtered and ordered list, and the place in it.
const PAGE_SIZE = 60;
const report = json("report");
const rows = report.rows.map(([id, verdict, status, cells, text, sensitive, decidedBy], number) => ({
  id, verdict: verdict || "none", status, cells, text, sensitive: Boolean(sensitive), decidedBy, number,
  searched: `${id}\n${text}`.toLowerCase(),
}));
for (const column of report.columns) column.unit = "score";
const together = report.together && { ...report.together, id: "all together", unit: "statistic" };
const table = colourTable(report.colours);
const state = {
  verdict: "all", detector: "", order: "worst", search: "", onlyMarked: false, reveal: false,
  list: rows, at: 0, page: 0,
};

const entry = (row) => json(`r${row.number}`);
const current = () => state.list[state.at];
const pages = () => Math.max(1, Math.ceil(state.list.length / PAGE_SIZE));

// The detector that is looked at: the one chosen, else the one that is sorted by, else none.
function lookedAt() {
  if (state.detector !== "") return Number(state.detector);
  const sorted = /^score:(\d+)$/.exec(state.order);
  return sorted ? Number(sorted[1]) : null;
}

// What a card is about: that detector, else the one that decided the image's verdict.
function columnOf(row) {
  return lookedAt() ?? row.decidedBy;
}

function verdictOf(row) {
  if (state.detector === "") return row.verdict;
  const cell = row.cells[state.detector];
  if (!cell) return null;
  return cell[3] === "error" ? "error" : cell[2] || "none";
}

function counts() {
  const found = { all: 0, flag: 0, abstain: 0, error: 0, none: 0, pass: 0 };
  for (const row of rows) {
    const verdict = verdictOf(row);
    if (verdict === null) continue;
    found[verdict] += 1;
    found.all += 1;
  }
  return found;
}

function matches(row) {
  const verdict = verdictOf(row);
  if (verdict === null || (state.verdict !== "all" && state.verdict !== verdict)) return false;
  if (state.onlyMarked && !marks.has(row.id)) return false;
  return state.search === "" || row.searched.includes(state.search);
}

function byScore(column) {
  const score = (row) => (row.cells[column] && row.cells[column][0] !== null ? row.cells[column][0] : -Infinity);
  return (a, b) => score(b) - score(a) || a.number - b.number;
}

function refilter() {
  state.list = rows.filter(matches);
  const sorted = /^score:(\d+)$/.exec(state.order);
  if (sorted) state.list.sort(byScore(sorted[1]));
  else if (state.order === "name") state.list.sort((a, b) => (a.id < b.id ? -1 : Number(a.id > b.id)));
  else if (state.detector !== "") state.list.sort(byScore(state.detector));
  state.at = 0;
  state.page = 0;
}

function moveTo(place) {
  state.at = Math.min(Math.max(place, 0), Math.max(state.list.length - 1, 0));
  const page = Math.floor(state.at / PAGE_SIZE);
  const turned = page !== state.page;
  state.page = page;
  return turned;
}
