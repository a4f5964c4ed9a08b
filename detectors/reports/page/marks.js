// Images that somebody looked at and found good: false alarms, by record id.
const markKey = `clipvet-marks:${report.key}`;
const marks = new Set(storedMarks());

function storedMarks() {
  try {
    const found = JSON.parse(localStorage.getItem(markKey) || "[]");
    const known = new Set(rows.map((row) => row.id));
    return Array.isArray(found) ? found.filter((id) => known.has(id)) : [];
  } catch {
    return []; // no storage: marks last as long as the page
  }
}

function keepMarks() {
  try {
    localStorage.setItem(markKey, JSON.stringify([...marks]));
  } catch {
    // as above
  }
}

function toggleMark(row) {
  if (!marks.delete(row.id)) marks.add(row.id);
  keepMarks();
  showMarks();
}

function clearMarks() {
  marks.clear();
  keepMarks();
  showMarks();
}

function markedIds() {
  return rows.filter((row) => marks.has(row.id)).map((row) => `${row.id}\n`).join("");
}

function showMarks() {
  byId("marked-count").textContent = marks.size;
  for (const id of ["download", "copy", "clear-marks"]) byId(id).disabled = marks.size === 0;
  for (const card of byId("cards").children) showMark(card.querySelector(".mark"), rows[card.dataset.number]);
  if (byId("detail").open) showMark(byId("detail-mark"), current());
}

function showMark(button, row) {
  const marked = marks.has(row.id);
  const short = button.classList.contains("mark");
  button.setAttribute("aria-pressed", marked);
  button.setAttribute("aria-label", `False alarm: ${row.id}`);
  button.title = marked ? "Take the mark back" : "Mark as a false alarm";
  button.textContent = marked ? "✓ False alarm" : short ? "✓" : "False alarm";
}

function downloadMarks() {
  const address = URL.createObjectURL(new Blob([markedIds()], { type: "text/plain" }));
  const link = element("a", { href: address, download: "false-alarms.txt" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

async function copyMarks() {
  const button = byId("copy");
  try {
    await navigator.clipboard.writeText(markedIds());
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}
