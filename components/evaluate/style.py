"""The look of the evaluation page: one accent, quiet lines, light and dark."""

from __future__ import annotations

STYLE = """
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--ink:#14181f;--soft:#5b6472;--line:#e3e6eb;--accent:#2563c9;
--miss:#c2410c;--good:#0f7a4d;--bad:#b42318;--on:#fff;--s0:#2563c9;--s1:#d97706;--s2:#0d9488;--s3:#9333ea;--s4:#db2777;
--s5:#65a30d;--base:#8a93a2}
@media(prefers-color-scheme:dark){:root{--page:#0f1217;--card:#171b22;--ink:#e8ebf0;--soft:#9aa4b2;--line:#2a303a;
--accent:#6ea8ff;--miss:#fb923c;--good:#4ade80;--bad:#f87171;--on:#0b1220;--s0:#6ea8ff;--s1:#fbbf24;--s2:#2dd4bf;
--s3:#c084fc;--s4:#f472b6;--s5:#a3e635;--base:#7d8796}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;
-webkit-font-smoothing:antialiased}
main{max-width:1120px;margin:0 auto;padding:40px 24px 64px}
header{margin-bottom:24px}h1{font-size:34px;line-height:1.15;margin:2px 0 8px;letter-spacing:-.02em;
overflow-wrap:anywhere}
header p{margin:0;color:var(--soft)}.eyebrow{text-transform:uppercase;letter-spacing:.09em;font-size:12px;
font-weight:600}
h2,figcaption{font-size:15px;font-weight:650;margin:0 0 14px}
section{margin:0 0 20px}section:not(.cards):not(.grid2),figure,.card{background:var(--card);
border:1px solid var(--line);
border-radius:12px;padding:20px 22px}
.cards{display:grid;gap:14px;grid-template-columns:repeat(auto-fit,minmax(180px,1fr))}
.card p{margin:0;color:var(--soft);font-size:13px}.card b{display:block;font-size:30px;line-height:1.25;font-weight:650;
letter-spacing:-.02em;font-variant-numeric:tabular-nums}.card small{color:var(--soft);font-variant-numeric:tabular-nums}
.note{background:var(--card);border:1px solid var(--line);border-left:3px solid var(--s1);border-radius:8px;
padding:10px 14px;margin:0 0 16px}
.grid2{display:grid;gap:20px;grid-template-columns:repeat(2,minmax(0,1fr))}figure{margin:0;min-width:0}
.grid2>figure:last-child:nth-child(odd){grid-column:1/-1}
.metrics{list-style:none;margin:0;padding:0;columns:2;column-gap:48px}.metrics li{display:flex;break-inside:avoid;
justify-content:space-between;padding:7px 0;border-bottom:1px solid var(--line)}.metrics b{font-weight:500;
font-variant-numeric:tabular-nums}
@media(max-width:760px){.metrics{columns:1}
.grid2{grid-template-columns:minmax(0,1fr)}main{padding:24px 14px 48px}h1{font-size:27px}}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:7px 10px;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child{text-align:left;font-weight:500;padding-left:0}td:last-child,th:last-child{padding-right:0}
thead th{white-space:normal;color:var(--soft);font-size:13px;font-weight:500}tbody tr:last-child>*{border-bottom:0}
td.text{text-align:left;white-space:normal;color:var(--soft);overflow-wrap:anywhere}
td.text:last-child{padding-left:16px}tbody th:has(+td.text){vertical-align:top}
.better{color:var(--good)}.worse{color:var(--bad)}.same{color:var(--soft)}
svg{display:block;width:100%;height:auto;margin:0 auto;overflow:visible}svg text{font:12px system-ui,sans-serif;
fill:var(--ink)}
svg .tick{fill:var(--soft)}svg .label{fill:var(--soft);font-size:12px}svg .value{fill:var(--soft);font-size:9px}
svg .grid{stroke:var(--line);fill:none}svg .guide{stroke:var(--base);stroke-dasharray:4 4;fill:none}
svg .line{fill:none;stroke-width:1.8;stroke-linejoin:round}svg .line.s0{stroke-width:2.6}
svg .line.baseline{stroke-dasharray:6 4}svg .hit{fill:var(--accent)}svg .miss{fill:var(--miss)}
svg .cell,svg .on{font-size:15px;font-weight:600;font-variant-numeric:tabular-nums}svg .on{fill:var(--on)}
svg .little{font-size:11px}svg .small{font-size:11px;font-weight:400;opacity:.8}svg .dots{fill:var(--accent);
fill-opacity:.5}
.s0{stroke:var(--s0)}.s1{stroke:var(--s1)}.s2{stroke:var(--s2)}.s3{stroke:var(--s3)}.s4{stroke:var(--s4)}
.s5{stroke:var(--s5)}
.baseline{stroke:var(--base)}.bar{stroke:none}.bar.s0{fill:var(--s0)}.bar.s1{fill:var(--s1)}.bar.s2{fill:var(--s2)}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 16px;margin:10px 0 0;padding:0;color:var(--soft);
font-size:13px;
justify-content:center}.key{display:inline-block;width:14px;height:4px;border-radius:2px;margin-right:6px;
vertical-align:3px}
.key.s0{background:var(--s0)}.key.s1{background:var(--s1)}.key.s2{background:var(--s2)}.key.s3{background:var(--s3)}
.key.s4{background:var(--s4)}.key.s5{background:var(--s5)}.key.baseline{background:var(--base)}
"""
