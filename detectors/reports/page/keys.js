// Keys do nothing while somebody types, or with a modifier.
const typing = (event) =>
  event.target instanceof Element && event.target.matches("input:not([type=checkbox]), select, textarea");

const GRID_KEYS = {
  j: () => step(1), k: () => step(-1), ArrowRight: () => step(1), ArrowLeft: () => step(-1),
  ArrowDown: () => step(columnsShown()), ArrowUp: () => step(-columnsShown()),
  n: () => turnPage(state.page + 1), p: () => turnPage(state.page - 1),
  "/": () => byId("search").focus(),
};
const DETAIL_KEYS = {
  j: () => stepDetail(1), k: () => stepDetail(-1), ArrowRight: () => stepDetail(1), ArrowLeft: () => stepDetail(-1),
};
const KEYS = {
  m: () => { if (current()) toggleMark(current()); }, h: toggleHeat, t: toggleTheme, "?": openHelp,
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  if (typing(event)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const inDetail = byId("detail").open;
  const act = (inDetail ? DETAIL_KEYS : GRID_KEYS)[event.key] || KEYS[event.key] || enter(event, inDetail);
  if (!act) return;
  event.preventDefault();
  act();
}

// Enter on a button is that button's own.
function enter(event, inDetail) {
  const free = event.target === document.body || event.target.id === "images";
  return event.key === "Enter" && !inDetail && free && current() ? () => openDetail(state.at) : null;
}
