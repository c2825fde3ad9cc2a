"""Style: how a report looks, in light and in dark, and the few lines that sort and search its tables."""

STYLE = """
:root { color-scheme: light dark; --paper: #fdfdfb; --ink: #1d2125; --soft: #626a73; --rule: #dfe1dc; --wash: #f3f4f0;
  --helped: #0f766e; --hurt: #b4412c; --unchanged: #4f5fa3; --undecided: #8b8f94; --failed: #7a1f1f;
  --distilled: #0f766e; --control: #c2812b; --teacher: #4f5fa3; }
@media (prefers-color-scheme: dark) { :root { --paper: #15181b; --ink: #e4e6e3; --soft: #9aa2a9; --rule: #32383d;
  --wash: #1d2226; --helped: #4fc1b2; --hurt: #ec8068; --unchanged: #98a6ec; --undecided: #8d949b; --failed: #e27d7d;
  --distilled: #4fc1b2; --control: #dca45a; --teacher: #98a6ec; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 3rem 1.5rem 5rem; max-width: 60rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; letter-spacing: -.015em; }
h2 { font-size: 1.15rem; margin: 3rem 0 .4rem; letter-spacing: -.005em; }
h2 + p, figure + p { margin-top: 0; }
p, li { max-width: 46rem; } p { margin: .5rem 0; } ul { padding-left: 1.1rem; } li { margin: .2rem 0; }
.soft, figcaption, .axis, .tick { color: var(--soft); }
.facts { display: flex; flex-wrap: wrap; gap: 1.6rem 2.6rem; margin: 1.8rem 0 1rem; padding: 0; list-style: none; }
.facts li { margin: 0; } .facts b { display: block; font-size: 1.5rem; font-weight: 600; line-height: 1.25; }
.facts span { font-size: .85rem; color: var(--soft); }
.facts b, td, .tick, .number, .cell { font-variant-numeric: tabular-nums; }
.share { display: flex; height: .55rem; border-radius: .3rem; overflow: hidden; gap: 2px; margin: 1.4rem 0 .5rem; }
.share i { display: block; } .key { font-size: .85rem; margin: 0; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; }
i.helped, i.hurt, i.unchanged, i.undecided, i.failed { background: var(--mark); }
.helped { --mark: var(--helped); } .hurt { --mark: var(--hurt); } .unchanged { --mark: var(--unchanged); }
.undecided { --mark: var(--undecided); } .failed { --mark: var(--failed); } .distilled { --mark: var(--distilled); }
.control { --mark: var(--control); } .teacher { --mark: var(--teacher); } .better { --mark: var(--helped); }
.worse { --mark: var(--hurt); } .word { color: var(--mark); fill: var(--mark); white-space: nowrap; }
figure { margin: 1rem 0 0; } figcaption { font-size: .85rem; max-width: 46rem; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(19rem, 1fr)); gap: 0 2rem; }
svg { width: 100%; height: auto; display: block; font: 12px system-ui, sans-serif; } svg text { fill: var(--ink); }
svg .tick, svg .axis { fill: var(--soft); } svg .word { fill: var(--mark); } svg .cell { font-size: 11px; }
.grid { stroke: var(--rule); stroke-width: 1; } .zero { stroke: var(--soft); stroke-width: 1; }
circle, rect { fill: var(--mark); } circle { stroke: var(--paper); stroke-width: 1; }
.span { stroke: var(--mark); stroke-width: 1.6; stroke-opacity: .55; stroke-linecap: round; }
.curve { fill: none; stroke: var(--mark); stroke-width: 1.8; } .band { fill: var(--mark); fill-opacity: .12; }
.scroll { overflow-x: auto; margin-right: min(0px, (60rem - 100vw) / 2 + 1.5rem); }
table { border-collapse: collapse; font-size: .86rem; width: 100%; margin-top: .6rem; }
th, td { padding: .32rem .7rem .32rem 0; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { font-weight: 600; color: var(--soft); position: sticky; top: 0; background: var(--paper); }
th[data-sort] { cursor: pointer; user-select: none; } th[data-sort]:hover { color: var(--ink); }
th[aria-sort=ascending]::after { content: " \\2191"; } th[aria-sort=descending]::after { content: " \\2193"; }
.left { text-align: left; } td.why { white-space: normal; min-width: 30rem; color: var(--soft); }
td:first-child, th:first-child { position: sticky; left: 0; background: var(--paper); }
th:first-child { z-index: 1; }
tbody tr:hover, tbody tr:hover td:first-child { background: var(--wash); }
table:not(.whole) .more { display: none; } .tools { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem;
  align-items: center; max-width: none; }
.scroll + p { margin-top: .8rem; } .scroll ~ p.soft { font-size: .85rem; }
input[type=search] { font: inherit; font-size: .9rem; padding: .35rem .6rem; width: 18rem; max-width: 100%;
  color: inherit; background: var(--wash); border: 1px solid var(--rule); border-radius: .3rem; }
pre { background: var(--wash); padding: 1rem 1.2rem; overflow-x: auto; font: 13px/1.5 ui-monospace, Menlo, monospace;
  border-radius: .3rem; } details { margin-top: 1rem; } summary { cursor: pointer; font-weight: 600; }
@media print { input { display: none; } body { max-width: none; padding: 0; } details > * { display: block; } }
"""
"""No font, colour or picture comes from elsewhere."""

SCRIPT = """
for (const table of document.querySelectorAll('table.sortable')) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const value = (row, at) => { const cell = row.cells[at], raw = cell.dataset.value;
    return raw === undefined ? cell.textContent.toLowerCase() : raw === '' ? null : Number(raw); };
  heads.forEach((head, at) => { head.dataset.sort = ''; head.tabIndex = 0;
    const sort = () => {
      const down = head.getAttribute('aria-sort') !== 'descending';
      heads.forEach(other => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      const rows = [...body.rows].sort((one, other) => {
        const first = value(one, at), second = value(other, at);
        if (first === null || second === null) return (first === null) - (second === null);
        return (first < second ? 1 : first > second ? -1 : 0) * (down ? 1 : -1); });
      body.append(...rows); };
    head.addEventListener('click', sort);
    head.addEventListener('keydown', event => { if (event.key === 'Enter') sort(); }); });
}
const whole = document.querySelector('#whole');
if (whole) whole.addEventListener('change', () =>
  document.querySelector('#students').classList.toggle('whole', whole.checked));
const search = document.querySelector('input[type=search]'), found = document.querySelector('#found');
if (search) search.addEventListener('input', () => {
  const words = search.value.toLowerCase(); let count = 0;
  for (const row of document.querySelector('#students').tBodies[0].rows) {
    row.hidden = !row.cells[0].textContent.toLowerCase().includes(words); count += !row.hidden; }
  found.textContent = words ? `${count} shown` : ''; });
"""
"""Tables sort by a click on a head; the search looks into the names of verticals."""
